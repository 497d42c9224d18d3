"""Multi30k English to German, encoder-decoder LSTM with attention: BLEU 38.9.

Paper:    Bahdanau, Cho & Bengio 2015, "Neural machine translation by jointly learning to align and
          translate"; data: Elliott et al. 2016, "Multi30K"
Command:  python train.py translation --data multi30k --source DIR
Time:     31 minutes of processor time on one core
Expected: BLEU 38.9 on `validation`, lowercased (sacreBLEU, 13a, beam width 5): 38.8, 38.8, 39.2
          with seeds 0 to 2

The best epoch is selected on the last 1 % of the training split, not on the reported split.
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
