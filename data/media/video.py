"""Decode clips: take frames at chosen times and report faults of the file.

Frames are chosen by time, so that a clip of variable frame rate is sampled as it is played. The
length in the header is only an estimate: if it is wrong, the clip is sampled again over its real
length. Unused frames are never converted; long gaps are skipped by seeking.
"""

from __future__ import annotations

import functools
import math
import os
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from data.media.limits import MAX_PIXELS
from data.media.sampling import _ROUNDING, Array, BadClip, Sampling

MAX_BYTES = 2e9  # all frames of one clip together
# Encoders usually set key frames at most 10 seconds apart; for shorter gaps decoding is cheaper.
_SEEK_SECONDS = 20.0
_LANDING_SECONDS = 2.0  # seek to this long before the time wanted
_TOLERANCE = 2.0  # frames by which a header may be wrong without a remark
_USUAL_RATE = 25.0  # frames per second if a header gives none

Frames = npt.NDArray[np.uint8]


class Clip(NamedTuple):
    """The frames taken from a clip.

    Attributes:
        frames: uint8 `[frames, height, width, 3]`, RGB, upright.
        times: float64 `[frames]`, seconds from the first frame of the file, ascending.
        remarks: faults of the file and how they were handled.
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
        sampling: which frames to take.
        start: seconds from the first frame of the clip.
        end: seconds; None for the end of the clip.

    Raises:
        BadClip: if the file is empty or not a clip, ends before half of the length in its header,
            is too large or too long, or has no frame in the window.
        OSError: if the file is missing or cannot be read.
    """
    if not (0 <= start < math.inf) or (end is not None and not start < end):
        raise BadClip(
            f"empty window: from {start:g} s to {'the end' if end is None else f'{end:g} s'}"
        )
    path = Path(path).absolute()  # FFmpeg would read "a:b.mp4" as a protocol
    with path.open("rb") as file:
        if not file.read(1):
            raise BadClip("empty file (0 bytes)")
    reader = _Reader(path)
    stop = reader.header_end if end is None else min(end, reader.header_end)
    taken, real_end = _walk(reader, sampling, start, stop, check_end=end is None or end > stop)
    remarks = list[str]()
    if real_end is not None:  # the header is wrong: sample the real length
        if real_end < 0.5 * reader.header_end and (end is None or real_end < end):
            raise BadClip(f"ends after {real_end:,.2f} of {reader.header_end:,.2f} s")
        remarks.append(
            f"wrong header: {reader.header_end:,.2f} s announced, {real_end:,.2f} s found"
        )
        stop = real_end if end is None else min(end, real_end)
        taken, _ = _walk(_Reader(path), sampling, start, stop, check_end=False)
    if not taken:
        raise BadClip(f"no frame in the window from {start:g} s: the clip ends at {stop:,.2f} s")
    if end is not None and stop < end - _TOLERANCE * reader.interval:
        remarks.append(f"window truncated: it ends at {end:g} s, the clip at {stop:,.2f} s")
    if sampling.count is not None and len(taken) < sampling.count:
        remarks.append(f"short clip: {len(taken)} of {sampling.count} frames")
    times, frames = zip(*taken, strict=True)
    if len({frame.shape for frame in frames}) > 1:
        raise BadClip("frames of different sizes")
    return Clip(np.stack(frames), np.array(times), tuple(remarks))


def _walk(
    reader: _Reader, sampling: Sampling, start: float, stop: float, *, check_end: bool
) -> tuple[list[tuple[float, Frames]], float | None]:
    """Take the frames between `start` and `stop`; return the real end if the header's is wrong."""
    taken = list[tuple[float, Frames]]()
    times = sampling.times(start, stop, reader.interval) if stop > start else np.zeros(0)
    late = stop - _TOLERANCE * reader.interval  # a clip that reaches this time is complete
    for time in times:
        if taken and reader.time >= time - _ROUNDING:
            continue  # the latest frame serves both times
        if taken and not reader.grab():
            break
        if not reader.advance(time) or reader.time >= stop - _ROUNDING:
            break
        frame = reader.frame(sampling.max_side)
        if (len(taken) + 1) * frame.nbytes > MAX_BYTES:
            raise BadClip(
                f"too large: {len(times):,} frames of {frame.nbytes / 1e6:,.0f} MB, at most "
                f"{MAX_BYTES / 1e6:,.0f} MB in all: take fewer or smaller frames"
            )
        taken.append((reader.time, frame))
    if check_end and not reader.ended:
        early = stop + _TOLERANCE * reader.interval
        reader.advance(max(late, reader.time))
        while reader.time < early and reader.grab():
            pass
        if not reader.ended:  # longer than in the header: read to the end
            while reader.grab():
                pass
            return taken, reader.end
    broken = reader.ended and reader.end < late and reader.grabbed < reader.count - _TOLERANCE
    return taken, reader.end if broken else None


class _Reader:
    """A clip that is read once, forwards; times are in seconds from the first frame.

    Attributes:
        count: number of frames in the header.
        header_end: length in the header.
        interval: time between two frames, at a constant frame rate.
        time: time of the latest frame.
        ended: whether the last frame has been passed.
        grabbed: number of frames read, without those skipped by seeking.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.cv2 = _cv2()
        self.capture = self._open()
        rate = self.capture.get(self.cv2.CAP_PROP_FPS)
        self.interval = 1 / (rate if 0 < rate < math.inf else _USUAL_RATE)
        count = self.capture.get(self.cv2.CAP_PROP_FRAME_COUNT)
        self.count = count if 1 <= count < math.inf else 1.0
        self.header_end = self.count * self.interval
        pixels = self.capture.get(self.cv2.CAP_PROP_FRAME_WIDTH)
        pixels *= self.capture.get(self.cv2.CAP_PROP_FRAME_HEIGHT)
        if pixels > MAX_PIXELS:
            limit = f"{MAX_PIXELS / 1e6:,.0f}"
            raise BadClip(
                f"too large: {pixels / 1e6:,.0f} million pixels per frame, at most {limit}"
            )
        self._restart()

    def _open(self) -> Any:
        cv2 = self.cv2
        # Clips are read in parallel: one thread each is fastest.
        options = [cv2.CAP_PROP_N_THREADS, 1]
        name = os.fspath(self.path)
        if any("\ud800" <= character <= "\udfff" for character in name):
            raise BadClip("cannot be opened: its name is not Unicode")  # OpenCV 5.0 would crash
        capture = cv2.VideoCapture(name, cv2.CAP_FFMPEG, options)
        if not capture.isOpened():
            raise BadClip("not a clip: cut short, without images, or in an unknown format")
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
        # Some frames of MPEG program streams have no timestamp.
        self.time = stamp if stamp > self.time else self.time + self.interval
        self.end, self.grabbed = self.time + self.interval, self.grabbed + 1
        return True

    def reaches(self, time: float) -> bool:
        """Return whether the latest frame is late enough for a time."""
        return self.time >= time - self.shortest / 2 - _ROUNDING

    def advance(self, time: float) -> bool:
        """Go to the first frame for a time; return whether there is one."""
        if self.seeking and time - self.time > _SEEK_SECONDS:
            self._seek(time)
        while not self.reaches(time):
            if not self.grab():
                return False
        return True

    def _seek(self, time: float) -> None:
        """Seek to shortly before a time; if that fails, restart without seeking."""
        before = self.time
        aim = (time - _LANDING_SECONDS + self.first) * 1000
        if self.capture.set(self.cv2.CAP_PROP_POS_MSEC, aim) and self.capture.grab():
            stamp = self._stamp()
            if before < stamp <= time:
                self.time, self.end = stamp, stamp + self.interval
                return
        self.capture.release()
        self.capture = self._open()
        self._restart()
        self.seeking = False
        while self.time < before and self.grab():
            pass

    def frame(self, max_side: int | None) -> Frames:
        """Return the latest frame, uint8 `[height, width, 3]`, RGB."""
        cv2 = self.cv2
        done, frame = self.capture.retrieve()
        if not done:
            raise BadClip(f"the frame at {self.time:,.2f} s cannot be decoded")
        height, width = frame.shape[:2]
        if max_side is not None and max(height, width) > max_side:
            scale = max_side / max(height, width)
            size = max(1, round(width * scale)), max(1, round(height * scale))
            frame = cv2.resize(frame, size, interpolation=cv2.INTER_AREA)
        return np.asarray(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB))


@functools.cache
def _cv2() -> Any:
    """Import OpenCV without its own threads and without messages of FFmpeg."""
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # AV_LOG_QUIET; read at the first clip
    import cv2

    cv2.setNumThreads(1)
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    return cv2
