"""Handwritten digits with a small network trained from scratch: 99.7 % accuracy on `test`.

Paper:    LeCun et al. 1998, "Gradient-based learning applied to document recognition"
Command:  python train.py image-classification
Time:     about 45 seconds of processor time
Expected: 99.7 % accuracy on `test`, 359 digits, with each of the seeds 0, 1 and 2
"""

from pipelines.config.config import Config

CONFIG = Config(
    task="image-classification",
    data="digits",
    # Model
    backbone="small-cnn",
    image_size=32,
    fine_tune_from=1,
    fine_tune_learning_rate=3e-3,
    translation=3,
    rotation=12.0,
    zoom=0.15,
    units=128,
    dropout=0.2,
    # Optimizer
    epochs=16,
    patience=16,
    learning_rate=3e-3,
    warmup_steps=50,
    weight_decay=0.05,
    label_smoothing=0.05,
    ema_decay=0.98,
)
