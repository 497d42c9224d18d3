"""Which of a clip's stored frames the model sees."""

from __future__ import annotations

import numpy as np


def choose_frames(
    frames: np.ndarray, most: int | None, chance: np.random.Generator | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Choose frames of clips: one of each of `most` equal segments, or all of a shorter clip.

    By chance within each segment (Wang et al. 2016, "Temporal Segment Networks"), or the middle.

    >>> choose_frames(np.array([9, 2]), 3)
    (array([[1, 4, 7],
           [0, 1, 0]]), array([[ True,  True,  True],
           [ True,  True, False]]))

    Args:
        frames: int `[clips]`, how many each has.
        most: segments; None: every frame.
        chance: None for the middle.

    Returns:
        Numbers of frames, int `[clips, time]`, and which of them count, bool `[clips, time]`.
    """
    counts = np.minimum(frames, most or frames)
    steps = np.arange(counts.max())
    within = 0.5 if chance is None else chance.random((len(frames), len(steps)))
    chosen = ((steps + within) * (frames / counts)[:, np.newaxis]).astype(int)
    mask = steps < counts[:, np.newaxis]
    return np.where(mask, chosen, 0), mask
