"""Drawn clips told in sentences, with a backbone from scratch and attention over time.

Paper:    Yao et al. 2015, "Describing Videos by Exploiting Temporal Structure" (SA-LSTM)
Command:  python train.py video-captioning
Time:     not measured to the end
Expected: not measured to the end; what it says is checked against what was drawn
"""

import dataclasses

from pipelines.recipes.drawn_actions import CONFIG as ACTIONS

CONFIG = dataclasses.replace(
    ACTIONS,
    task="video-captioning",
    min_count=1,
    captions_together=1,
    clip_frames=4,
    batch_size=64,
    epochs=6,
    weight_decay=0.1,
    beams=3,
    n_best=3,
    length_penalty=0.0,
)
