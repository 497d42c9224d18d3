"""Drawn clips told in sentences, with a backbone from scratch: 96.2 % wholly true on `test`.

Paper:    Yao et al. 2015, "Describing Videos by Exploiting Temporal Structure" (SA-LSTM)
Command:  python train.py video-captioning
Time:     5.5 minutes on two cores, drawing included
Expected: 96.2 % wholly true captions on `test`; one seed. Shapes are told apart last: after two
          epochs half of the captions are true; with four epochs in all, 85 %
"""

import dataclasses

from pipelines.config.recipes.action_recognition.synthetic_actions import CONFIG as ACTIONS

CONFIG = dataclasses.replace(
    ACTIONS,
    task="video-captioning",
    min_count=1,
    captions_per_image=2,
    clip_frames=4,
    frame_pooling="spatial+cells",
    batch_size=32,
    epochs=5,
    weight_decay=0.1,
    beams=3,
    n_best=3,
    length_penalty=0.0,
)
