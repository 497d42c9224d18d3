"""GRID's first words, bin, lay, place or set, as actions, from the lips.

Paper:    Wand, Koutník & Schmidhuber 2016, "Lipreading with Long Short-Term Memory"
Command:  python train.py action-recognition --data grid --source DIR
Time:     2 to 3 minutes on one core
Expected: 96.7 % accuracy on `validation`, which is dev: 98.0, 96.0, 96.0 % with seeds 0 to 2

Cut and split as in the recipe `grid`.
"""

import dataclasses

from pipelines.config.recipes.video_captioning.grid import CONFIG as SENTENCES

CONFIG = dataclasses.replace(SENTENCES, task="action-recognition", pooling="attention", epochs=30)
