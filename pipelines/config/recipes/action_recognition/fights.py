"""Surveillance clips, fight or none: a pretrained backbone, frozen, on frames and on what changes.

Paper:    Aktı, Tataroğlu & Ekenel 2019, "Vision-based Fight Detection from Surveillance Cameras"
          (about 72 %); Wang et al. 2016, "Temporal Segment Networks" (RGB differences)
Command:  python train.py action-recognition --data fight-surveillance --source DIR
          and --fold 1 to 5: 240 clips are few, and one split of their 56 scenes says little
Time:     7 minutes a fold on one core, nearly all of it for the features
Expected: 72.1 % accuracy on `test`, mean of five folds (75.0, 79.2, 68.8, 72.9, 64.6), seed 0

With `motion="features"` instead, three folds had 60 %: ImageNet's features tell a room, not a blow.
That differences of pixels tell more was first seen with linear classifiers on these same clips.
"""

from pipelines.config.config import Config

CONFIG = Config(
    task="action-recognition",
    data="fight-surveillance",
    backbone="efficientnet-lite0",
    sample_frames=32,
    clip_frames=16,
    motion="pixels",
    flips=True,
    cell="gru",
    units=64,
    dropout=0.5,
    pooling="mean",
    epochs=30,
    patience=10,
    batch_size=16,
    warmup_steps=20,
    weight_decay=1.0,
)
