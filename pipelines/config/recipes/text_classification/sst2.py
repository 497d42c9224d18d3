"""SST-2 with a bidirectional LSTM and embeddings trained from scratch: 82.0 % accuracy on dev.

Paper:    Tai, Socher & Manning 2015, "Improved semantic representations from tree-structured long
          short-term memory networks" (bidirectional LSTM 87.5 % on the test split, with GloVe
          vectors and labeled phrases)
Command:  python train.py text-classification --data sst2 --source DIR
Time:     two and a half minutes on one core
Expected: 82.0 % accuracy on `validation` (dev): 82.7, 81.9, 81.4 % with seeds 0 to 2

Trains on the 6,574 whole sentences only, without phrases. The best epoch is selected on the last
5 % of the training split. Options were selected within the training split, never on the reported
split: in 5-fold cross-validation of a prototype (whose unknown words had affixes too),
`affix_embeddings` improves accuracy by 0.9 points (79.1 to 80.0), and `variational_dropout` of 30 %
instead of 70 % ordinary dropout by another 0.6. On the last fifth of the training split this recipe
has 81.4 %; without the two options it has 80.3 %.
"""

import dataclasses

from pipelines.config.recipes.text_classification.texts import CONFIG as TEXTS

CONFIG = dataclasses.replace(
    TEXTS,
    data="sst2",
    train_split="train[:95%]",
    validation_split="train[95%:]",
    test_splits="validation,test",
    # Model
    min_count=1,
    embedding_dim=300,
    keep_punctuation=True,
    affix_embeddings=True,
    embedding_dropout=0.8,
    dropout=0.3,
    variational_dropout=True,
    pooling="max",
    word_dropout=0.2,
    # Optimizer
    weight_decay=0.5,
    learning_rate=2e-3,
    epochs=8,
    patience=8,
)
