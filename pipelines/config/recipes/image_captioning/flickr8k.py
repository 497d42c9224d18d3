"""Flickr8k with soft attention and a fine-tuned EfficientNet-Lite2: BLEU-4 23.9, CIDEr-D 58.4.

Paper:    Xu et al. 2015, "Show, Attend and Tell" (BLEU-4 19.5 on the test split); the last two
          epochs Rennie et al. 2017, "Self-critical Sequence Training"
Command:  python train.py image-captioning --data flickr8k --source DIR
Time:     43 minutes on two shared CPU cores in total; the same on one core with cached features
Expected: BLEU-4 23.9, CIDEr-D 58.4, ROUGE-L 48.0 on `validation` (the development split): means of
          three seeds, with standard deviations of 0.9, 1.0 and 0.3

The best epoch is selected on the last 5 % of the training split, not on the reported split.
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
