"""Which frames of a clip are taken, and when they stand in it."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt

from data.common.errors import UserError, unknown

PLACINGS = ("centred", "uniform")


# A clip asked for more is a mistake in the rate or the window, and would fill the memory.
MAX_FRAMES = 1024


MAX_RATE = 1000


MAX_MOMENTS = 1_000_000  # of a clip that stands still, few have a frame of their own


_ROUNDING = 1e-6  # seconds; containers count in milliseconds, microseconds at most


Array = npt.NDArray[np.float64]


class BadClip(UserError):
    """A file that is not a usable clip; the text is the reason, in a few words."""


@dataclass(frozen=True)
class Sampling:
    """Which frames of a clip are taken: so many in all, or so many a second.

    A frame is taken once at most: a clip shorter than asked gives all its frames, one that stands
    still for long gives fewer than asked.

    Attributes:
        count: how many; None where `rate` says it.
        rate: frames a second.
        placing: of `count` frames: "centred" takes the middle of as many equal segments,
            "uniform" goes from the first frame to the last.
        max_side: frames with a longer side are shrunk to this many pixels; None: never.

    Raises:
        UserError: where both or neither of `count` and `rate` are given, or a value makes no
            sense.
    """

    count: int | None = None
    rate: float | None = None
    placing: str = "centred"
    max_side: int | None = None

    def __post_init__(self) -> None:
        if (self.count is None) == (self.rate is None):
            raise UserError("frames are sampled by count or by rate: give one of the two")
        if self.count is not None and not 1 <= self.count <= MAX_FRAMES:
            raise UserError(f"1 to {MAX_FRAMES:,} frames can be taken of a clip, not {self.count}")
        if self.rate is not None and not 0 < self.rate <= MAX_RATE:
            raise UserError(f"a rate is above 0, at most {MAX_RATE:,} a second, not {self.rate}")
        if self.placing not in PLACINGS:
            raise unknown("placing of frames", self.placing, PLACINGS)
        if self.max_side is not None and self.max_side < 1:
            raise UserError(f"a frame has at least 1 pixel a side, not {self.max_side}")

    @property
    def fingerprint(self) -> str:
        """A hash of all that decides which frames come out."""
        return hashlib.sha256(json.dumps(asdict(self)).encode()).hexdigest()[:16]

    def moments(self, start: float, end: float, interval: float) -> Array:
        """Return the moments to show, float64 `[moments]`, ascending seconds.

        Frame k of a clip stands from k to k + 1 intervals. The frame for a moment is the first
        that begins no earlier than half an interval before it: half the shortest so far, where
        intervals differ.

        >>> Sampling(count=4).moments(0.0, 8.0, interval=1.0)
        array([0.5, 2.5, 4.5, 6.5])
        >>> Sampling(count=3, placing="uniform").moments(0.0, 9.0, interval=1.0)
        array([0., 4., 8.])
        >>> Sampling(rate=0.5).moments(1.0, 6.0, interval=1.0)
        array([1., 3., 5.])

        Args:
            start: seconds; the first frame that counts begins there.
            end: seconds; the last frame that counts ends there.
            interval: between two frames, seconds.

        Raises:
            BadClip: if a rate asks for more than `MAX_FRAMES`.
        """
        if self.count is not None:
            if self.placing == "uniform" and self.count > 1:
                return np.linspace(start, max(start, end - interval), self.count)
            segments = (np.arange(self.count) + 0.5) / self.count
            return start + segments * (end - start) - interval / 2
        assert self.rate is not None
        count = (end - start) * min(self.rate, 1 / interval)  # no clip has more than it has
        if count > MAX_FRAMES or (end - start) * self.rate > MAX_MOMENTS:
            raise BadClip(
                f"too long: {self.rate:g} frames a second of {end - start:,.1f} s; at most "
                f"{MAX_FRAMES:,} frames are taken: lower the rate or name a window"
            )
        count = math.ceil((end - start) * self.rate - _ROUNDING)
        return start + np.arange(max(count, 1)) / self.rate
