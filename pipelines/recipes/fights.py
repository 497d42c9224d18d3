"""Surveillance clips, fight or none: a pretrained backbone, frozen, and how its features change.

Paper:    Aktı, Tataroğlu & Ekenel 2019, "Vision-based Fight Detection from Surveillance Cameras"
          (about 72 %)
Command:  python train.py action-recognition --data fight-surveillance --source DIR
Time:     not measured to the end
Expected: not measured; 240 clips are few: one split says little, so take --fold 1 to 5
"""

from pipelines.config import Config

CONFIG = Config(
    task="action-recognition",
    data="fight-surveillance",
    backbone="efficientnet-lite0",
    sample_frames=32,
    clip_frames=16,
    motion="features",
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
