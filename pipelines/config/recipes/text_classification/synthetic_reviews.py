"""Synthetic reviews with a bidirectional LSTM: 100 % accuracy on `test` and `unseen`.

Paper:    Graves & Schmidhuber 2005, "Framewise phoneme classification with bidirectional LSTM"
Command:  python train.py text-classification
Time:     about 40 seconds of processor time
Expected: 100 % accuracy on `test` and on `unseen` (words that are never negated in training); one
          seed
"""

from pipelines.config.config import Config

CONFIG = Config(
    task="text-classification",
    data="synthetic-reviews",
    test_splits="test,unseen",
    # Model
    min_count=1,
    max_words=200,
    embedding_dim=32,
    units=32,
    dropout=0.1,
    # Optimizer
    epochs=6,
    patience=6,
    learning_rate=3e-3,
    warmup_steps=50,
    label_smoothing=0.0,
    ema_decay=0.99,
)
