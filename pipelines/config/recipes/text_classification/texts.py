"""Any labeled texts, such as your own file: a bidirectional LSTM, embeddings from scratch.

Paper:    Graves & Schmidhuber 2005, "Framewise phoneme classification with bidirectional LSTM"
Command:  python train.py text-classification --data texts --source DIR
Time:     proportional to the number of words
Expected: depends on the texts; see the recipe `synthetic-reviews` for a dataset without download
"""

from pipelines.config.config import Config

CONFIG = Config(
    task="text-classification",
    data="texts",
    # Model
    min_count=2,
    max_words=200,
    units=128,
    # Optimizer
    epochs=12,
    patience=4,
    warmup_steps=100,
    weight_decay=0.05,
    ema_decay=0.99,
)
