"""Any labeled images, such as your own folder: a frozen pretrained backbone and a classifier.

Paper:    Tan & Le 2019, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks"
Command:  python train.py image-classification --data labeled-images --source DIR
Time:     proportional to the images (features, computed once)
Expected: depends on the images; see the recipe `digits` for a dataset without download

With more than a few hundred images per class, fine-tune the backbone as well: `--fine-tune-from 4
--translation 16 --zoom 0.2 --brightness 0.2`.
"""

from pipelines.config.config import Config

CONFIG = Config(
    task="image-classification",
    data="labeled-images",
    # Model
    backbone="efficientnet-lite2",
    flips=True,
    units=256,
    dropout=0.3,
    # Optimizer
    epochs=12,
    patience=4,
    warmup_steps=50,
    weight_decay=0.05,
    ema_decay=0.99,
)
