"""GRID's first words, bin, lay, place or set, as actions, from the lips.

Paper:    Wand, Koutník & Schmidhuber 2016, "Lipreading with Long Short-Term Memory"
Command:  python train.py action-recognition --data grid --source DIR
Time:     4 minutes on one core
Expected: 92.0 % accuracy on `validation`, which is dev, seed 0

Cut and split as in the recipe `grid`.
"""

import dataclasses

from pipelines.recipes.grid import CONFIG as SENTENCES

CONFIG = dataclasses.replace(SENTENCES, task="action-recognition", pooling="attention", epochs=30)
