"""Flickr8k with soft attention on a tuned EfficientNet-Lite2: BLEU-4 23.9, CIDEr-D 58.4.

Paper:    Xu et al. 2015, "Show, Attend and Tell" (BLEU-4 19.5 on the test part); the last two
          epochs Rennie et al. 2017, "Self-critical Sequence Training"
Command:  python train.py image-captioning --data flickr8k --source DIR
Time:     43 minutes on two CPU cores beside other work, all told; as long on one core with what is
          frozen computed before
Expected: BLEU-4 23.9, CIDEr-D 58.4, ROUGE-L 48.0 on `validation`, the development part: means of
          three seeds, with standard deviations of 0.9, 1.0 and 0.3

The best epoch is chosen on the last twentieth of the training part, not on the one reported.
"""

import dataclasses

from pipelines.config.recipes.image_captioning.photos import CONFIG as PHOTOS

CONFIG = dataclasses.replace(
    PHOTOS,
    data="flickr8k",
    train_split="train[:95%]",
    validation_split="train[95%:]",
    test_splits="validation,test",
)
