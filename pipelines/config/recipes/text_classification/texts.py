"""Any labelled texts, your own for one: word vectors from scratch and a bidirectional LSTM.

Paper:    Graves & Schmidhuber 2005, "Framewise phoneme classification with bidirectional LSTM"
Command:  python train.py text-classification --data texts --source DIR
Time:     grows with the number of words
Expected: depends on the texts; see the recipe `synthetic_reviews` for a set that needs no download
"""

from pipelines.config.config import Config

CONFIG = Config(
    task="text-classification",
    data="texts",
    min_count=2,
    max_words=200,
    embedding_dim=128,
    units=128,
    dropout=0.5,
    epochs=12,
    patience=4,
    learning_rate=1e-3,
    warmup_steps=100,
    weight_decay=0.05,
    ema_decay=0.99,
)
