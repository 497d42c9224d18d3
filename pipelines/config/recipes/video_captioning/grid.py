"""GRID lipreading, one speaker: DCT coefficients of the mouth and a bidirectional GRU.

Paper:    Assael et al. 2016, "LipNet" (word error rate 4.8 %, 33 speakers); Wand, Koutník &
          Schmidhuber 2016, "Lipreading with Long Short-Term Memory" (20.4 %, by speaker)
Command:  python train.py video-captioning --data grid --source DIR
Time:     5 minutes on one core
Expected: word error rate 14.5 % on `validation` (GRID's dev split): 14.5, 17.2, 11.8 % with seeds
          0 to 2

Frames are cropped to the mouth at 32 × 32 pixels; the backbone keeps the 6 × 6 lowest DCT
frequencies. With more frequencies, or with raw pixels, the word error rate more than doubled. The
best epoch and these options were selected on the last 10 % of the training split, not on the
reported split.
"""

from pipelines.config.config import Config

CONFIG = Config(
    task="video-captioning",
    data="grid",
    train_split="train[:90%]",
    validation_split="train[90%:]",
    test_splits="validation",
    # Model
    min_count=1,
    max_words=6,
    backbone="dct",
    fine_tune_from=1,  # dct has no weights, but this setting augments the pixels in every epoch
    captions_per_image=1,
    crop="0.66:0.82,0.22:0.61",
    flips=True,
    translation=1,
    zoom=0.05,
    rotation=3.0,
    brightness=0.1,
    speed_jitter=0.15,
    motion="features",
    frame_normalization=True,
    frame_time_embedding=True,
    cell="gru",
    units=256,
    # Optimizer
    epochs=40,
    patience=10,
    batch_size=16,
    learning_rate=3e-3,
    warmup_steps=100,
    weight_decay=1.0,  # without it, some seeds overfit before they learn the words
    label_smoothing=0.0,
    ema_decay=0.99,
    # Search
    min_words=6,
    length_penalty=0.0,
)
