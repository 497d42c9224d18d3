"""SST-2 with word vectors from scratch and a two-way LSTM: 79.3 % on dev.

Paper:    Tai, Socher & Manning 2015, "Improved semantic representations from tree-structured long
          short-term memory networks" (two-way LSTM 87.5 % on test, with GloVe and labelled phrases)
Command:  python train.py sentiment --data sst2 --source DIR
Time:     a minute and a half on one core
Expected: 79.3 % accuracy on `validation`, which is dev: 79.4, 78.7, 79.7 % with seeds 0 to 2

Whole sentences alone are learned from, 6,574 of them. The best epoch is chosen on the last
twentieth of the training part, and so were options (on its last tenth or fifth), not on the part
reported. On that fifth, `max` and hidden words have 80.3 %, the state at the end 78.5 %.
"""

import dataclasses

from pipelines.recipes.texts import CONFIG as TEXTS

CONFIG = dataclasses.replace(
    TEXTS,
    data="sst2",
    train_split="train[:95%]",
    validation_split="train[95%:]",
    test_splits="validation,test",
    min_count=1,
    embedding=300,
    punctuation=True,
    affixes=True,
    embedding_dropout=0.8,
    dropout=0.3,
    variational_dropout=True,
    pooling="max",
    word_dropout=0.2,
    weight_decay=0.5,
    learning_rate=2e-3,
    epochs=8,
    patience=8,
)
