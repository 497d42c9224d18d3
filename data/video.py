"""Clips as they come, made into frames: which ones, of which moments, and what was wrong.

    clip = sample("juggler.mp4", Sampling(count=16), start=2.0, end=5.5)
    clip.frames  # uint8 [frames, height, width, 3]
    clip.times  # seconds from the first frame of the file

Frames are chosen by time, not by number, so that a clip of variable frame rate is sampled as it is
seen. What a header says of length is a plan only: where the clip turns out longer or shorter, it is
sampled again over what is really there. A frame that nobody wants is grabbed, never converted; a
long gap is sought over, and the landing checked by its timestamp.
"""

from __future__ import annotations

import functools
import hashlib
import json
import math
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from data.errors import UserError, unknown

SUFFIXES = frozenset({".mp4", ".m4v", ".mov", ".avi", ".mpg", ".mpeg", ".webm", ".mkv", ".gif"})
PLACINGS = ("centred", "uniform")
# A frame of this many pixels takes 240 MB; 8K has 33 million.
MAX_PIXELS = 80_000_000
# A clip asked for more is a mistake in the rate or the window, and would fill the memory.
MAX_FRAMES = 1024
MAX_RATE = 1000
MAX_MOMENTS = 1_000_000  # of a clip that stands still, few have a frame of their own
MAX_BYTES = 2e9  # of all frames taken from one clip
# Encoders put a key frame every 10 seconds at most, by habit; below, decoding on is cheaper.
_SEEK_SECONDS = 20.0
_LANDING_SECONDS = 2.0  # aimed at, before the moment that is sought
_TOLERANCE = 2.0  # frames by which a header may be wrong before anyone is told
_USUAL_RATE = 25.0  # where a header gives none
_ROUNDING = 1e-6  # seconds; containers count in milliseconds, microseconds at most

Array = npt.NDArray[np.float64]
Frames = npt.NDArray[np.uint8]


class BadClip(UserError):
    """A file that is not a usable clip; the text is the reason, in a few words."""


class Clip(NamedTuple):
    """The frames taken from a clip.

    Attributes:
        frames: uint8 `[frames, height, width, 3]`, RGB, upright.
        times: float64 `[frames]`, seconds from the first frame of the file, ascending.
        remarks: what was not as it should be, and what was done about it.
    """

    frames: Frames
    times: Array
    remarks: tuple[str, ...]


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


def sample(
    path: Path | str, sampling: Sampling, *, start: float = 0.0, end: float | None = None
) -> Clip:
    """Decode a clip, or a window of it, and return the frames that `sampling` chooses.

    Args:
        path: an mp4, avi, mpg, webm, mkv, mov or gif file.
        sampling: which frames.
        start: seconds from the clip's first frame.
        end: seconds; None: the clip's end.

    Raises:
        BadClip: if the file is empty or no clip, breaks off before half of what its header
            promises, is too large or too long, or has no frame in the window.
        OSError: if the file is not there or cannot be read.
    """
    if not (0 <= start < math.inf) or (end is not None and not start < end):
        raise BadClip(f"no window: from {start:g} s to {'the end' if end is None else end} s")
    path = Path(path).absolute()  # FFmpeg would take "a:b.mp4" for a protocol
    with path.open("rb") as file:
        if not file.read(1):
            raise BadClip("empty file (0 bytes)")
    reader = _Reader(path)
    stop = reader.promised if end is None else min(end, reader.promised)
    taken, found = _walk(reader, sampling, start, stop, check_end=end is None or end > stop)
    remarks = list[str]()
    if found is not None:  # the header was wrong: sample what is there
        if found < 0.5 * reader.promised and (end is None or found < end):
            raise BadClip(f"breaks off after {found:,.2f} of {reader.promised:,.2f} s")
        remarks.append(f"header wrong: {reader.promised:,.2f} s promised, {found:,.2f} s found")
        stop = found if end is None else min(end, found)
        taken, _ = _walk(_Reader(path), sampling, start, stop, check_end=False)
    if not taken:
        raise BadClip(f"no frame in the window from {start:g} s: the clip ends at {stop:,.2f} s")
    if end is not None and stop < end - _TOLERANCE * reader.interval:
        remarks.append(f"window cut short: it ends at {end:g} s, the clip at {stop:,.2f} s")
    if sampling.count is not None and len(taken) < sampling.count:
        remarks.append(f"short clip: {len(taken)} of {sampling.count} frames")
    times, frames = zip(*taken, strict=True)
    return Clip(_stack(frames), np.array(times), tuple(remarks))


def _stack(frames: tuple[Frames, ...]) -> Frames:
    if len({frame.shape for frame in frames}) > 1:
        raise BadClip("frames of different sizes")
    return np.stack(frames)


def _walk(
    reader: _Reader, sampling: Sampling, start: float, stop: float, *, check_end: bool
) -> tuple[list[tuple[float, Frames]], float | None]:
    """Go through a clip once and take the frames for the moments between `start` and `stop`.

    Returns:
        (time, frame) of those taken, and where the clip really ends, in seconds, if that is not
        where its header says.
    """
    taken = list[tuple[float, Frames]]()
    moments = sampling.moments(start, stop, reader.interval) if stop > start else np.zeros(0)
    late = stop - _TOLERANCE * reader.interval  # a clip that comes this far is whole
    for moment in moments:
        if taken and reader.time >= moment - _ROUNDING:
            continue  # one frame for both
        if taken and not reader.grab():
            break
        if not reader.advance(moment) or reader.time >= stop - _ROUNDING:
            break
        picture = reader.picture(sampling.max_side)
        if (len(taken) + 1) * picture.nbytes > MAX_BYTES:
            raise BadClip(
                f"too large: {len(moments):,} frames of {picture.nbytes / 1e6:,.0f} MB, at most "
                f"{MAX_BYTES / 1e6:,.0f} MB in all: take fewer or smaller ones"
            )
        taken.append((reader.time, picture))
    if check_end and not reader.ended:
        early = stop + _TOLERANCE * reader.interval
        reader.advance(max(late, reader.time))
        while reader.time < early and reader.grab():
            pass
        if not reader.ended:  # longer than promised: how long?
            while reader.grab():
                pass
            return taken, reader.end
    broken = reader.ended and reader.end < late and reader.grabbed < reader.count - _TOLERANCE
    return taken, reader.end if broken else None


class _Reader:
    """A clip that is gone through once, forwards.

    Attributes:
        count: what the header says of its length, in frames.
        promised: the same in seconds.
        interval: between two frames, in seconds, if their rate is even.
        time: of the latest frame, in seconds from the first.
        ended: whether the last frame has been passed.
        grabbed: how many frames have come by; where some were sought over, fewer.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.cv2 = _cv2()
        self.capture = self._open()
        rate = self.capture.get(self.cv2.CAP_PROP_FPS)
        self.interval = 1 / (rate if 0 < rate < math.inf else _USUAL_RATE)
        count = self.capture.get(self.cv2.CAP_PROP_FRAME_COUNT)
        self.count = count if 1 <= count < math.inf else 1.0
        self.promised = self.count * self.interval
        pixels = self.capture.get(self.cv2.CAP_PROP_FRAME_WIDTH)
        pixels *= self.capture.get(self.cv2.CAP_PROP_FRAME_HEIGHT)
        if pixels > MAX_PIXELS:
            most = f"{MAX_PIXELS / 1e6:,.0f}"
            raise BadClip(f"too large: {pixels / 1e6:,.0f} million pixels a frame, at most {most}")
        self._restart()

    def _open(self) -> Any:
        cv2 = self.cv2
        # Clips are read side by side: one thread each is the fastest.
        options = [cv2.CAP_PROP_N_THREADS, 1]
        name = os.fspath(self.path)
        if any("\ud800" <= character <= "\udfff" for character in name):
            raise BadClip("cannot be opened: its name is not Unicode")  # OpenCV 5.0 would crash
        capture = cv2.VideoCapture(name, cv2.CAP_FFMPEG, options)
        if not capture.isOpened():
            raise BadClip("not a clip: cut short, without pictures, or of an unknown kind")
        capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 1)
        return capture

    def _restart(self) -> None:
        self.seeking = True
        self.ended, self.time, self.first = False, -math.inf, 0.0
        if not self.capture.grab():
            raise BadClip("no frame can be decoded")
        self.first, self.grabbed = self._stamp(), 1
        self.time, self.end, self.shortest = 0.0, self.interval, self.interval

    def _stamp(self) -> float:
        """Return the timestamp of the latest frame, in seconds from the first frame's."""
        return float(self.capture.get(self.cv2.CAP_PROP_POS_MSEC)) / 1000 - self.first

    def grab(self) -> bool:
        """Go to the next frame without converting it; return whether there is one."""
        if self.ended or not self.capture.grab():
            self.ended = True
            return False
        stamp = self._stamp()
        if stamp > self.time:
            self.shortest = min(self.shortest, stamp - self.time)
        # Some frames of MPEG program streams have no time of their own.
        self.time = stamp if stamp > self.time else self.time + self.interval
        self.end, self.grabbed = self.time + self.interval, self.grabbed + 1
        return True

    def stands_for(self, moment: float) -> bool:
        """Return whether the latest frame comes late enough to show a moment."""
        return self.time >= moment - self.shortest / 2 - _ROUNDING

    def advance(self, moment: float) -> bool:
        """Go to the first frame that stands for a moment; return whether there is one."""
        if self.seeking and moment - self.time > _SEEK_SECONDS:
            self._seek(moment)
        while not self.stands_for(moment):
            if not self.grab():
                return False
        return True

    def _seek(self, moment: float) -> None:
        """Jump to shortly before a moment; back to the start for good where that goes wrong."""
        before = self.time
        aim = (moment - _LANDING_SECONDS + self.first) * 1000
        if self.capture.set(self.cv2.CAP_PROP_POS_MSEC, aim) and self.capture.grab():
            stamp = self._stamp()
            if before < stamp <= moment:
                self.time, self.end = stamp, stamp + self.interval
                return
        self.capture.release()
        self.capture = self._open()
        self._restart()
        self.seeking = False
        while self.time < before and self.grab():
            pass

    def picture(self, max_side: int | None) -> Frames:
        """Return the latest frame, uint8 `[height, width, 3]`, RGB."""
        cv2 = self.cv2
        done, picture = self.capture.retrieve()
        if not done:
            raise BadClip(f"the frame at {self.time:,.2f} s cannot be decoded")
        height, width = picture.shape[:2]
        if max_side is not None and max(height, width) > max_side:
            scale = max_side / max(height, width)
            size = max(1, round(width * scale)), max(1, round(height * scale))
            picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
        return np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB))


@functools.cache
def _cv2() -> Any:
    """Import OpenCV and teach it manners: no threads of its own, no lines of FFmpeg's."""
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # AV_LOG_QUIET; read at the first clip
    import cv2

    cv2.setNumThreads(1)
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    return cv2
