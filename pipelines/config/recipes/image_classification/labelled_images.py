"""Any labelled pictures, your own for one: a pretrained backbone, frozen, and a classifier on it.

Paper:    Tan & Le 2019, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks"
Command:  python train.py image-classification --data labelled-images --source DIR
Time:     grows with the pictures (features, once)
Expected: depends on the pictures; see the recipe `digits` for a set that needs no download

With more than some hundred pictures a class, let the backbone learn too: `--fine-tune-from 4
--translation 16 --zoom 0.2 --brightness 0.2`.
"""

from pipelines.config.config import Config

CONFIG = Config(
    task="image-classification",
    data="labelled-images",
    backbone="efficientnet-lite2",
    flips=True,
    units=256,
    dropout=0.3,
    epochs=12,
    patience=4,
    warmup_steps=50,
    weight_decay=0.05,
    ema_decay=0.99,
)
