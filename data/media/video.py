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
import math
import os
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from data.media.sampling import _ROUNDING, Array, BadClip, Sampling

# A frame of this many pixels takes 240 MB; 8K has 33 million.
MAX_PIXELS = 80_000_000
MAX_BYTES = 2e9  # of all frames taken from one clip
# Encoders put a key frame every 10 seconds at most, by habit; below, decoding on is cheaper.
_SEEK_SECONDS = 20.0
_LANDING_SECONDS = 2.0  # aimed at, before the moment that is sought
_TOLERANCE = 2.0  # frames by which a header may be wrong before anyone is told
_USUAL_RATE = 25.0  # where a header gives none

Frames = npt.NDArray[np.uint8]


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
