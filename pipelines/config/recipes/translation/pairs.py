"""Any parallel corpus, such as your own files: encoder-decoder LSTM with attention.

Paper:    Bahdanau, Cho & Bengio 2015, "Neural machine translation by jointly learning to align and
          translate"
Command:  python train.py translation --data pairs --source DIR
          For one file per language (train.en and train.de), add --languages en-de.
Time:     proportional to the number of words
Expected: depends on the texts; see the recipe `multi30k` for a public dataset
"""

from pipelines.config.config import Config

CONFIG = Config(
    task="translation",
    data="pairs",
    # Model
    keep_punctuation=True,
    min_count=2,
    max_words=60,
    embedding_dim=256,
    units=256,
    dropout=0.3,
    # Optimizer
    epochs=12,
    patience=4,
    learning_rate=2e-3,
    weight_decay=0.05,
    ema_decay=0.995,
)
