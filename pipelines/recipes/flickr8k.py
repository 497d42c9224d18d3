"""Flickr8k with soft attention on EfficientNet-Lite2: BLEU-4 22.5, CIDEr-D 53.6 (development).

Paper:    Xu et al. 2015, "Show, Attend and Tell" (BLEU-4 19.5 on the test part); the last three
          epochs Rennie et al. 2017, "Self-critical Sequence Training"
Command:  python train.py image-captioning --data flickr8k --source DIR
Time:     28 minutes on 2 CPU cores that other work shared, with the features computed before; those
          take 3 to 4 minutes once
Expected: BLEU-4 22.5, CIDEr-D 53.6, ROUGE-L 45.7 on `validation`, the development part; one seed

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
