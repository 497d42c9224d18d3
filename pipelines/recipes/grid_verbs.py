"""GRID's first words, bin, lay, place or set, as actions: a small CNN and two-way LSTMs.

Paper:    Wand, Koutník & Schmidhuber 2016, "Lipreading with Long Short-Term Memory"
Command:  python train.py action-recognition --data grid --source DIR
Time:     not measured to the end
Expected: not measured

Cut and split as in the recipe `grid`.
"""

import dataclasses

from pipelines.recipes.grid import CONFIG as SENTENCES

CONFIG = dataclasses.replace(SENTENCES, task="action-recognition", pooling="attention", epochs=20)
