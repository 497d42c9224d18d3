"""SST-2 with word vectors from scratch and a two-way LSTM: 79.9 % on dev, one seed.

Paper:    Tai, Socher & Manning 2015, "Improved semantic representations from tree-structured long
          short-term memory networks" (two-way LSTM 87.5 % on test, with GloVe and labelled phrases)
Command:  python train.py sentiment --data sst2 --source DIR
Time:     a few minutes on 2 CPU cores
Expected: 79.9 % accuracy on `validation`, which is dev; seed 0

Whole sentences alone are learned from, 6,574 of them. The best epoch is chosen on the last
twentieth of the training part, and so were options (on its last tenth), not on the part reported.
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
    dropout=0.7,
    weight_decay=0.5,
    learning_rate=2e-3,
    epochs=6,
    patience=6,
)
