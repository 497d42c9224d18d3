"""Drawn scenes, about 3 minutes on 2 CPU cores: at least 95 % wholly true captions, unseen 85 %.

Paper:    Xu et al. 2015, "Show, Attend and Tell", on a backbone trained from scratch
Command:  python train.py
Time:     about 3 minutes on 2 CPU cores
Expected: at least 95 % wholly true captions on `test`, 85 % on `unseen` (combinations of colour
          and shape that training never shows)
"""

from pipelines.config import Config

CONFIG = Config(
    data="scenes",
    test_splits="test,unseen",
    min_count=1,
    max_words=30,
    backbone="small-cnn",
    fine_tune_from=1,
    fine_tune_rate=1e-3,
    units=256,
    dropout=0.2,
    label_smoothing=0.0,
    epochs=8,
    beams=3,
    n_best=3,
)
