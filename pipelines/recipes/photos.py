"""Any photos, your own folder for one: a pretrained backbone, frozen, and top-down attention.

Paper:    Anderson et al. 2018, "Bottom-Up and Top-Down Attention" (the decoder)
Command:  python train.py image-captioning --data folder --source DIR
Time:     on 2 CPU cores about 1 minute for 1,000 pictures, once, and 1 for 20,000 captions
Expected: depends on the pictures; see the recipe `flickr8k` for a set that others know
"""

from pipelines.config import Config

CONFIG = Config(
    data="folder",
    backbone="efficientnet-lite0",
    flips=True,
    decoder="updown",
    epochs=15,
)
