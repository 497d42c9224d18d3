"""English to German in a small grammar: nearly every sentence of `test` word for word right.

Paper:    Bahdanau, Cho & Bengio 2015, "Neural machine translation by jointly learning to align and
          translate"
Command:  python train.py translation
Time:     a few minutes of processor time
Expected: to be measured
"""

import dataclasses

from pipelines.recipes.pairs import CONFIG as PAIRS

CONFIG = dataclasses.replace(
    PAIRS,
    data="phrasebook",
    test_splits="test,unseen",
    min_count=1,
    max_words=30,
    embedding=64,
    units=96,
    dropout=0.1,
    epochs=6,
    patience=6,
    learning_rate=4e-3,
    warmup_steps=50,
    label_smoothing=0.0,
    ema=0.99,
    beams=3,
    n_best=3,
)
