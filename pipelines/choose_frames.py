"""Which of a clip's stored frames the model sees."""

from __future__ import annotations

import numpy as np


def choose_frames(
    frames: np.ndarray,
    most: int | None,
    chance: np.random.Generator | None = None,
    jitter: float = 0.0,
) -> tuple[np.ndarray, np.ndarray]:
    """Choose frames of clips: one of each of `most` equal segments, or all of a shorter clip.

    By chance within each segment (Wang et al. 2016, "Temporal Segment Networks"), or the middle.
    Where frames give way to a neighbour, some are seen twice and others not at all, as if what
    moves went slower and faster (Assael et al. 2016, "LipNet"); their order stays.

    >>> choose_frames(np.array([9, 2]), 3)
    (array([[1, 4, 7],
           [0, 1, 0]]), array([[ True,  True,  True],
           [ True,  True, False]]))

    Args:
        frames: int `[clips]`, how many each has.
        most: segments; None: every frame.
        chance: None for the middle.
        jitter: share of frames that give way to the one before or after, by chance.

    Returns:
        Numbers of frames, int `[clips, time]`, and which of them count, bool `[clips, time]`.
    """
    counts = np.minimum(frames, most or frames)
    steps = np.arange(counts.max())
    within = 0.5 if chance is None else chance.random((len(frames), len(steps)))
    chosen = ((steps + within) * (frames / counts)[:, np.newaxis]).astype(int)
    if chance and jitter:
        chosen += chance.choice([-1, 0, 1], chosen.shape, p=[jitter / 2, 1 - jitter, jitter / 2])
        chosen = np.maximum.accumulate(chosen.clip(0, frames[:, np.newaxis] - 1), axis=1)
    mask = steps < counts[:, np.newaxis]
    return np.where(mask, chosen, 0), mask
