"""Flickr8k with soft attention on a tuned EfficientNet-Lite2: BLEU-4 24.9, CIDEr-D 59.1.

Paper:    Xu et al. 2015, "Show, Attend and Tell" (BLEU-4 19.5 on the test part); the last two
          epochs Rennie et al. 2017, "Self-critical Sequence Training"
Command:  python train.py image-captioning --data flickr8k --source DIR
Time:     44 minutes on one CPU core that shared its machine with other work, with what is frozen
          computed before; that takes one core about 9 minutes, once
Expected: BLEU-4 24.9, CIDEr-D 59.1, ROUGE-L 47.7 on `validation`, the development part; one seed

The best epoch is chosen on the last twentieth of the training part, not on the one reported.
"""

import dataclasses

from pipelines.recipes.photos import CONFIG as PHOTOS

CONFIG = dataclasses.replace(
    PHOTOS,
    data="flickr8k",
    train_split="train[:95%]",
    validation_split="train[95%:]",
    test_splits="validation,test",
)
