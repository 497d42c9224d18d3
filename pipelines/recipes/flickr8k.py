"""Flickr8k with soft attention on EfficientNet-Lite2: BLEU-4 21.5, CIDEr-D 52.5 (development).

Paper:    Xu et al. 2015, "Show, Attend and Tell" (BLEU-4 19.5 on the test part)
Command:  python train.py image-captioning --data flickr8k --source DIR
Time:     about 26 minutes of processor time for 8 epochs, and once about 6 for the features
Expected: BLEU-4 21.5, CIDEr-D 52.5, ROUGE-L 45.7 on `validation`, the development part; one seed

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
