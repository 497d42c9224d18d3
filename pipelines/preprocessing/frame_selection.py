"""Which of a clip's stored frames the model sees."""

from __future__ import annotations

import numpy as np


def select_frames(
    frames: np.ndarray,
    segments: int | None,
    rng: np.random.Generator | None = None,
    speed_jitter: float = 0.0,
) -> tuple[np.ndarray, np.ndarray]:
    """Select one frame from each of `segments` equal parts of a clip, or all of a shorter clip.

    The frame is random within its segment (Wang et al. 2016, "Temporal Segment Networks"), or the
    middle one. `speed_jitter` makes a clip slower or faster around a random moment, as for speech
    (Ko et al. 2015, "Audio Augmentation for Speech Recognition"): frames are repeated or skipped,
    their order stays.

    >>> select_frames(np.array([9, 2]), 3)
    (array([[1, 4, 7],
           [0, 1, 0]]), array([[ True,  True,  True],
           [ True,  True, False]]))

    Args:
        frames: int `[clips]`, the number of frames of each.
        segments: None: every frame.
        rng: None for the middle frames.
        speed_jitter: largest change of speed, as a share; needs `rng`.

    Returns:
        Frame numbers, int `[clips, time]`, and which of them count, bool `[clips, time]`.
    """
    counts = np.minimum(frames, segments or frames)
    steps = np.arange(counts.max())
    offsets = 0.5 if rng is None else rng.random((len(frames), len(steps)))
    selected = ((steps + offsets) * (frames / counts)[:, np.newaxis]).astype(int)
    if rng and speed_jitter:
        pace = 1 + rng.uniform(-speed_jitter, speed_jitter, (len(frames), 1))
        fixed = rng.random((len(frames), 1)) * frames[:, np.newaxis]
        moved = fixed + (selected + 0.5 - fixed) * pace
        selected = moved.astype(int).clip(0, frames[:, np.newaxis] - 1)
    mask = steps < counts[:, np.newaxis]
    return np.where(mask, selected, 0), mask
