"""SST-2 with word vectors from scratch and a bidirectional LSTM: 82.0 % on dev.

Paper:    Tai, Socher & Manning 2015, "Improved semantic representations from tree-structured long
          short-term memory networks" (bidirectional LSTM 87.5 % on test, with
          GloVe and labelled phrases)
Command:  python train.py text-classification --data sst2 --source DIR
Time:     two and a half minutes on one core
Expected: 82.0 % accuracy on `validation`, which is dev: 82.7, 81.9, 81.4 % with seeds 0 to 2

Whole sentences alone are learned from, 6,574 of them. The best epoch is chosen on the last
twentieth of the training part. Options were chosen within the training part, never on the part
reported: by five-fold cross-validation of a prototype (its unseen words had affixes too) words that
share their beginnings and ends gain 0.9 % (79.1 to 80.0), and dropping the same 30 % of the outputs
of all words, in place of 70 % of each, another 0.6. On the last fifth of the training part this
recipe has 81.4 %, the one before, without these, had 80.3 %.
"""

import dataclasses

from pipelines.config.recipes.text_classification.texts import CONFIG as TEXTS

CONFIG = dataclasses.replace(
    TEXTS,
    data="sst2",
    train_split="train[:95%]",
    validation_split="train[95%:]",
    test_splits="validation,test",
    min_count=1,
    embedding_dim=300,
    keep_punctuation=True,
    affix_embeddings=True,
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
