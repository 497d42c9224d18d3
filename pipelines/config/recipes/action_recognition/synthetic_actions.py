"""Synthetic action clips with a backbone trained from scratch: 100 % accuracy on `test`.

Paper:    Donahue et al. 2015, "Long-term Recurrent Convolutional Networks" (LRCN)
Command:  python train.py action-recognition
Time:     2.5 minutes on one core, mostly to generate and decode the clips once
Expected: 100 % accuracy on `test`; one seed
"""

from pipelines.config.config import Config

CONFIG = Config(
    task="action-recognition",
    data="synthetic-clips",
    # Model
    backbone="small-cnn",
    fine_tune_from=1,
    fine_tune_learning_rate=3e-3,
    clip_frames=6,
    frame_pooling="spatial",
    units=128,
    dropout=0.0,
    # Optimizer
    epochs=2,
    batch_size=32,
    learning_rate=3e-3,
    warmup_steps=100,
    label_smoothing=0.0,
    ema_decay=0.99,
)
