"""Any texts and their translations, your own for one: an LSTM reads, another looks back at it.

Paper:    Bahdanau, Cho & Bengio 2015, "Neural machine translation by jointly learning to align and
          translate"
Command:  python train.py translation --data pairs --source DIR
          and for two files side by side, train.en and train.de, --languages en-de
Time:     grows with the number of words
Expected: depends on the texts; see the recipe `multi30k` for a set that others know
"""

from pipelines.config.config import Config

CONFIG = Config(
    task="translation",
    data="pairs",
    keep_punctuation=True,
    min_count=2,
    max_words=60,
    embedding_dim=256,
    units=256,
    dropout=0.3,
    epochs=12,
    patience=4,
    learning_rate=2e-3,
    warmup_steps=200,
    weight_decay=0.05,
    ema_decay=0.995,
)
