"""Drawn scenes, with a backbone trained from scratch: 97 % wholly true captions on `test`.

Paper:    Xu et al. 2015, "Show, Attend and Tell"
Command:  python train.py
Time:     4 to 5 minutes on two cores, drawing and export included
Expected: 97.4 % wholly true captions on `test`, 91.0 % on `unseen` (combinations of colour and
          shape that training never shows)

Seed 1 is the better of two by its validation captions (97.7 % true): with seed 0 the model does not
learn in time which thing is left of which, and 87.8 % and 80.0 % are true (an earlier commit).
"""

from pipelines.config import Config

CONFIG = Config(
    data="scenes",
    test_splits="test,unseen",
    min_count=1,
    backbone="small-cnn",
    fine_tune_from=1,
    fine_tune_rate=3e-3,
    captions_together=1,
    firm_places=True,
    units=128,
    dropout=0.0,
    epochs=4,
    learning_rate=3e-3,
    warmup_steps=100,
    weight_decay=0.3,  # what language alone makes unlikely (a red square) fades away
    label_smoothing=0.0,
    ema=0.99,
    beams=3,
    n_best=3,
    length_penalty=0.0,
    seed=1,
)
