"""Frame sampling: which frames of a clip to take, by time."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt

from data.common.errors import UserError

# More frames are a mistake in the rate or the window, and would fill the memory.
MAX_FRAMES = 1024
MAX_RATE = 1000  # frames per second
MAX_TIMES = 1_000_000  # requested times; in a still clip few of them have their own frame
_ROUNDING = 1e-6  # seconds; containers store milliseconds or microseconds

Array = npt.NDArray[np.float64]


class BadClip(UserError):
    """A file that is not a usable clip; the message is the reason, in a few words."""


@dataclass(frozen=True)
class Sampling:
    """Which frames of a clip to take, each at most once: a fixed number, or a number per second.

    Attributes:
        count: the number of frames; None if `rate` is given.
        rate: frames per second; None if `count` is given.
        placing: of `count` frames: "centred" takes the middle of as many equal segments,
            "uniform" goes from the first frame to the last.
        max_side: frames with a longer side are resized to this many pixels; None: never.

    Raises:
        UserError: if both or neither of `count` and `rate` are given, or a value is out of range.
    """

    count: int | None = None
    rate: float | None = None
    placing: str = "centred"
    max_side: int | None = None

    def __post_init__(self) -> None:
        if (self.count is None) == (self.rate is None):
            raise UserError("frames are sampled by count or by rate: give exactly one of the two")
        if self.count is not None and not 1 <= self.count <= MAX_FRAMES:
            raise UserError(f"the number of frames must be 1 to {MAX_FRAMES:,}, not {self.count}")
        if self.rate is not None and not 0 < self.rate <= MAX_RATE:
            raise UserError(
                f"the frame rate must be above 0 and at most {MAX_RATE:,}, not {self.rate}"
            )
        if self.max_side is not None and self.max_side < 1:
            raise UserError(
                f"the longest side of a frame must be at least 1 pixel, not {self.max_side}"
            )

    @property
    def fingerprint(self) -> str:
        """Return a hash of all fields."""
        return hashlib.sha256(json.dumps(asdict(self)).encode()).hexdigest()[:16]

    def times(self, start: float, end: float, interval: float) -> Array:
        """Return the times to sample, float64 `[times]`, ascending seconds.

        Frame k lasts from k to k + 1 intervals. The frame for a time is the first one that begins
        no earlier than half an interval before it (the shortest so far if the rate varies).

        >>> Sampling(count=4).times(0.0, 8.0, interval=1.0)
        array([0.5, 2.5, 4.5, 6.5])

        Args:
            start: of the window, in seconds.
            end: of the window, in seconds.
            interval: time between two frames, in seconds.

        Raises:
            BadClip: if the rate gives more than `MAX_FRAMES`.
        """
        if self.count is not None:
            if self.placing == "uniform" and self.count > 1:
                return np.linspace(start, max(start, end - interval), self.count)
            segments = (np.arange(self.count) + 0.5) / self.count
            return start + segments * (end - start) - interval / 2
        assert self.rate is not None
        count = (end - start) * min(self.rate, 1 / interval)  # never more frames than the clip has
        if count > MAX_FRAMES or (end - start) * self.rate > MAX_TIMES:
            raise BadClip(
                f"too long: {self.rate:g} frames per second of {end - start:,.1f} s; the limit is "
                f"{MAX_FRAMES:,} frames: lower the rate or give a window"
            )
        count = math.ceil((end - start) * self.rate - _ROUNDING)
        return start + np.arange(max(count, 1)) / self.rate
