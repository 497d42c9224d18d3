"""Which of a clip's stored frames the model sees."""

from __future__ import annotations

import numpy as np


def select_frames(
    frames: np.ndarray,
    most: int | None,
    chance: np.random.Generator | None = None,
    speed_jitter: float = 0.0,
) -> tuple[np.ndarray, np.ndarray]:
    """Choose frames of clips: one of each of `most` equal segments, or all of a shorter clip.

    By chance within each segment (Wang et al. 2016, "Temporal Segment Networks"), or the middle.
    With `speed_jitter` a clip goes slower or faster around a moment of its own, as recordings of
    speech do (Ko et al. 2015, "Audio Augmentation for Speech Recognition"): frames are seen twice
    or not at all, and come sooner or later; their order stays.

    >>> choose_frames(np.array([9, 2]), 3)
    (array([[1, 4, 7],
           [0, 1, 0]]), array([[ True,  True,  True],
           [ True,  True, False]]))

    Args:
        frames: int `[clips]`, how many each has.
        most: segments; None: every frame.
        chance: None for the middle.
        speed_jitter: largest change of speed, as a share; without `chance` it does nothing.

    Returns:
        Numbers of frames, int `[clips, time]`, and which of them count, bool `[clips, time]`.
    """
    counts = np.minimum(frames, most or frames)
    steps = np.arange(counts.max())
    within = 0.5 if chance is None else chance.random((len(frames), len(steps)))
    chosen = ((steps + within) * (frames / counts)[:, np.newaxis]).astype(int)
    if chance and speed_jitter:
        pace = 1 + chance.uniform(-speed_jitter, speed_jitter, (len(frames), 1))
        still = chance.random((len(frames), 1)) * frames[:, np.newaxis]
        moved = still + (chosen + 0.5 - still) * pace
        chosen = moved.astype(int).clip(0, frames[:, np.newaxis] - 1)
    mask = steps < counts[:, np.newaxis]
    return np.where(mask, chosen, 0), mask
