"""Any photos, your own folder for one: a pretrained backbone, frozen, and soft attention.

Paper:    Xu et al. 2015, "Show, Attend and Tell"
Command:  python train.py image-captioning --data folder --source DIR
Time:     grows with the pictures (features, once) and the captions (every epoch)
Expected: depends on the pictures; see the recipe `flickr8k` for a set that others know
"""

from pipelines.config import Config

CONFIG = Config(
    data="folder",
    backbone="efficientnet-lite2",
    flips=True,
    weight_decay=1.0,
    epochs=8,
    patience=8,
    reward_epochs=3,
)
