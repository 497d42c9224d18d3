"""GRID verbs (bin, lay, place, set) as actions, recognized from the lips.

Paper:    Wand, Koutník & Schmidhuber 2016, "Lipreading with Long Short-Term Memory"
Command:  python train.py action-recognition --data grid --source DIR
Time:     2 to 3 minutes on one core
Expected: 96.7 % accuracy on `validation` (GRID's dev split): 98.0, 96.0, 96.0 % with seeds 0 to 2

Crop and splits are those of the recipe `grid`.
"""

import dataclasses

from pipelines.config.recipes.video_captioning.grid import CONFIG as SENTENCES

CONFIG = dataclasses.replace(
    SENTENCES,
    task="action-recognition",
    # Model
    pooling="attention",
    # Optimizer
    epochs=30,
)
