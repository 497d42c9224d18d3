"""GRID: what one speaker says, read from the lips, with a small CNN and two-way LSTMs.

Paper:    Assael et al. 2016, "LipNet" (word error rate 4.8 %, 33 speakers); Wand, Koutník &
          Schmidhuber 2016, "Lipreading with Long Short-Term Memory"
Command:  python train.py video-captioning --data grid --source DIR
Time:     not measured to the end
Expected: not measured; see WER, of `validation`, and the right words at each place

The frame is cut to the mouth. The best epoch is chosen on the last tenth of the training part, not
on the one reported.
"""

from pipelines.config import Config

CONFIG = Config(
    task="video-captioning",
    data="grid",
    train_split="train[:90%]",
    validation_split="train[90%:]",
    test_splits="validation",
    min_count=1,
    max_words=6,
    min_words=6,
    backbone="small-cnn",
    image_size=48,
    fine_tune_from=1,
    fine_tune_rate=1e-3,
    captions_together=1,
    crop="0.66:0.82,0.22:0.61",
    shift=3,
    tint=0.1,
    flips=True,
    frame_grid="places",
    motion="features",
    layers=2,
    units=256,
    dropout=0.5,
    epochs=40,
    patience=10,
    batch_size=16,
    warmup_steps=100,
    label_smoothing=0.0,
    ema=0.99,
    length_penalty=0.0,
)
