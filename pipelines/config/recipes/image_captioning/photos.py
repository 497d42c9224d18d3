"""Any photos, your own folder for one: a pretrained backbone, its top tuned, and soft attention.

Paper:    Xu et al. 2015, "Show, Attend and Tell"
Command:  python train.py image-captioning --data folder --source DIR
Time:     grows with the pictures (features, once) and the captions (every epoch)
Expected: depends on the pictures; see the recipe `flickr8k` for a set that others know
"""

from pipelines.config.config import Config

CONFIG = Config(
    data="folder",
    backbone="efficientnet-lite2",
    fine_tune_from=3,
    fine_tune_layers="top",
    fine_tune_learning_rate=1e-4,
    flips=True,
    weight_decay=1.0,
    epochs=6,
    patience=6,
    scst_epochs=2,
)
