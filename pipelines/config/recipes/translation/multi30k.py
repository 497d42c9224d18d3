"""Multi30k, English to German: an LSTM reads both ways, another looks back at it; BLEU 38.9.

Paper:    Bahdanau, Cho & Bengio 2015, "Neural machine translation by jointly learning to align and
          translate"; the data Elliott et al. 2016
Command:  python train.py translation --data multi30k --source DIR
Time:     31 minutes of processor time on one core
Expected: BLEU 38.9 on `validation`, lower-cased (sacreBLEU, 13a, beam of 5): 38.8, 38.8, 39.2 with
          seeds 0 to 2

The best epoch is chosen on the last hundredth of the training part, not on the one reported.
"""

import dataclasses

from pipelines.config.recipes.translation.pairs import CONFIG as PAIRS

CONFIG = dataclasses.replace(
    PAIRS,
    data="multi30k",
    train_split="train[:99%]",
    validation_split="train[99%:]",
    test_splits="validation,test",
    dropout=0.4,
)
