"""Decode clips: take frames at chosen times and report faults of the file.

Frames are chosen by time, so that a clip of variable frame rate is sampled as it is played. The
length in the header is only an estimate: if it is wrong, the clip is sampled again over its real
length. Unused frames are never converted; long gaps are skipped by seeking. A frame is used only if
FFmpeg decoded it without an error.
"""

from __future__ import annotations

import contextlib
import io
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import av
import numpy as np
import numpy.typing as npt
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream

from data.media.limits import MAX_PIXELS
from data.media.packed import read_content
from data.media.sampling import _ROUNDING, Array, BadClip, Sampling

MAX_BYTES = 2e9  # all frames of one clip together
# Encoders usually set key frames at most 10 seconds apart; for shorter gaps decoding is cheaper.
_SEEK_SECONDS = 20.0
_LANDING_SECONDS = 2.0  # seek to this long before the time wanted
_TOLERANCE = 2.0  # frames by which a header may be wrong without a remark
_SQUARE = 0.02  # pixels that are so little longer than high are square: encoders round
_USUAL_RATE = 25.0  # frames per second if a header gives none
_CONVERT = "convert it, for example: ffmpeg -i OLD -c:v libx264 -pix_fmt yuv420p NEW.mp4"
_IMAGES = Disposition.attached_pic | Disposition.timed_thumbnails
Frames = npt.NDArray[np.uint8]


class Clip(NamedTuple):
    """The frames taken from a clip.

    Attributes:
        frames: uint8 `[frames, height, width, 3]`, RGB, upright, deinterlaced, with square pixels;
            all of the size of the first.
        times: float64 `[frames]`, seconds from the first frame of the file, ascending.
        remarks: faults of the file and how they were handled.
    """

    frames: Frames
    times: Array
    remarks: tuple[str, ...]


def sample(
    path: Path | str,
    sampling: Sampling,
    *,
    start: float = 0.0,
    end: float | None = None,
    place: str = "",
) -> Clip:
    """Decode a clip, or a window of it, and return the frames that `sampling` chooses.

    Args:
        path: a file in any format and codec that FFmpeg decodes.
        sampling: which frames to take.
        start: seconds from the first frame of the clip.
        end: seconds; None for the end of the clip.
        place: of a clip in a larger file: see `data.media.packed`.

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
        content = read_content(path, place) if place else file.read(1)
    if not content:
        raise BadClip("empty file (0 bytes)")
    with contextlib.closing(_Reader(content if place else str(path))) as reader:
        stop = reader.header_end if end is None else min(end, reader.header_end)
        taken, real_end = _walk(reader, sampling, start, stop, check_end=end is None or end > stop)
        remarks = list[str]()
        if real_end is not None:  # the header is wrong: sample the real length
            if real_end < 0.5 * reader.header_end and (end is None or real_end < end):
                raise BadClip(f"ends after {real_end:,.2f} of {reader.header_end:,.2f} s")
            if reader.count > 1:  # else the header gives no length, as in recordings of browsers
                announced = f"{reader.header_end:,.2f} s announced"
                remarks.append(f"wrong header: {announced}, {real_end:,.2f} s found")
            stop = real_end if end is None else min(end, real_end)
            reader.restart()
            taken, _ = _walk(reader, sampling, start, stop, check_end=False)
    if not taken:
        raise BadClip(f"no frame in the window from {start:g} s: the clip ends at {stop:,.2f} s")
    if end is not None and stop < end - _TOLERANCE * reader.interval:
        remarks.append(f"window truncated: it ends at {end:g} s, the clip at {stop:,.2f} s")
    if sampling.count is not None and len(taken) < sampling.count:
        remarks.append(f"short clip: {len(taken)} of {sampling.count} frames")
    times, frames = zip(*taken, strict=True)
    remarks += reader.remarks()
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
        frame = reader.image(sampling.max_side)
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

    def __init__(self, file: str | bytes) -> None:  # its path, or its content
        import cv2  # not with the module: the sampler needs none

        cv2.setNumThreads(1)  # clips are read in parallel
        self.file, self.cv2, self.convert = file, cv2, VideoReformatter().reformat
        self.size: tuple[int, int] | None = None  # of all images: that of the first
        self._open()
        rate = self.stream.average_rate or self.stream.guessed_rate or 0
        self.interval = 1 / float(rate if 0 < rate < math.inf else _USUAL_RATE)
        self.count = max(1.0, float(self.stream.frames or self._length() / self.interval))
        self.header_end = self.count * self.interval
        _check_pixels(self.stream.codec_context.width, self.stream.codec_context.height)
        self._start()

    def _open(self) -> None:
        file = io.BytesIO(self.file) if isinstance(self.file, bytes) else self.file
        try:
            # A file that turns out to be a playlist must not reach the network.
            self.container = av.open(file, "r", options={"protocol_whitelist": "file"})
        except MemoryError:
            raise
        except av.FFmpegError:
            raise BadClip("not a clip: cut short, or in an unknown format") from None
        self.stream = _video_stream(self.container.streams.video)
        self.stream.codec_context.thread_count = 1  # clips are read in parallel
        self.stream.codec_context.options = {"err_detect": "explode"}  # do not conceal errors

    def _length(self) -> float:
        """Return the length in the header, in seconds; 0.0 if it gives none."""
        own = (self.stream.duration or 0) * (self.stream.time_base or 0)
        return (self.container.duration or 0) / av.time_base or float(own)

    def close(self) -> None:
        """Close the file."""
        self.container.close()

    def restart(self) -> None:
        """Go back to the first frame."""
        self.close()
        self._open()
        self._start()

    def _start(self) -> None:
        # After a seek in an MPEG program stream, timestamps are wrong by a frame.
        self.seeking = self.container.format.name != "mpeg"
        self.resized, self.damaged, self.decoded = False, 0, self._decode()
        self.ended, self.time, self.first = False, -math.inf, 0.0
        if not self._next():
            codec = self.stream.codec_context.name
            raise BadClip(f"no frame can be decoded (codec {codec}): cut short, or {_CONVERT}")
        self.first, self.grabbed = self._stamp(0.0), 1
        self.time, self.end, self.shortest = 0.0, self.interval, self.interval

    def _decode(self) -> Iterator[VideoFrame]:
        """Yield the frames that are decoded without an error, and count the others."""
        packets = self.container.demux(self.stream)
        while True:
            try:
                if (packet := next(packets, None)) is None:
                    return
                frames = packet.decode()
            except MemoryError:
                raise
            except av.EOFError:
                return
            except av.FFmpegError:
                self.damaged += 1
                continue
            for frame in frames:
                if isinstance(frame, VideoFrame) and not frame.is_corrupt:
                    yield frame
                else:
                    self.damaged += 1

    def _next(self) -> bool:
        if (frame := next(self.decoded, None)) is not None:
            self.frame = frame
        return frame is not None

    def _stamp(self, default: float) -> float:
        """Return the timestamp of the latest frame, in seconds from the first frame's."""
        # Some frames of MPEG program streams have no timestamp.
        return default if self.frame.time is None else self.frame.time - self.first

    def remarks(self) -> list[str]:
        """Return the faults of the frames that were read."""
        remarks = []
        if self.damaged:
            remarks.append(f"damaged: {self.damaged:,} frames or parts of frames left out")
        if self.resized:
            remarks.append("frames of different sizes: resized to that of the first")
        return remarks

    def grab(self) -> bool:
        """Go to the next frame without converting it; return whether there is one."""
        if self.ended or not self._next():
            self.ended = True
            return False
        stamp = self._stamp(self.time)
        later = stamp - self.time
        if later > _ROUNDING:
            self.time, self.shortest = stamp, min(self.shortest, later)
        elif self.frame.time is not None and later > -_ROUNDING:
            self.time += 2 * _ROUNDING  # an estimated time was one frame ahead
        else:
            self.time += self.interval
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
        """Seek to a key frame before a time; if that fails, restart without seeking."""
        before = self.time
        aim = (time - _LANDING_SECONDS + self.first) / (self.stream.time_base or 1)
        try:
            self.container.seek(round(aim), stream=self.stream)
            self.decoded = self._decode()
            if self._next() and before < (stamp := self._stamp(-math.inf)) <= time:
                self.time, self.end = stamp, stamp + self.interval
                return
        except av.FFmpegError:
            pass
        self.restart()
        self.seeking = False
        while self.time < before and self.grab():
            pass

    def image(self, max_side: int | None) -> Frames:
        """Return the latest frame, uint8 `[height, width, 3]`, RGB, as a player shows it."""
        frame, aspect = self.frame, float(self.stream.sample_aspect_ratio or 1)
        if abs(aspect - 1) < _SQUARE:
            aspect = 1.0
        # Square pixels: enlarge the side on which pixels are longer.
        width, height = frame.width * max(1.0, aspect), frame.height * max(1.0, 1 / aspect)
        _check_pixels(width, height)
        scale = min(1.0, (max_side or math.inf) / max(width, height))
        size = max(1, round(width * scale)), max(1, round(height * scale))
        self.size, self.resized = self.size or size, self.resized or size != (self.size or size)
        try:
            rgb = self.convert(frame, format="rgb24", interpolation="BICUBIC", threads=1)
        except av.FFmpegError as error:
            raise BadClip(f"the frame at {self.time:,.2f} s cannot be converted: {error}") from None
        pixels = np.asarray(rgb.to_ndarray(), np.uint8)
        if frame.interlaced_frame:  # the odd lines are of another time: interpolate them
            pixels = pixels.copy()
            above, below = pixels[:-2:2].astype(np.uint16), pixels[2::2]
            pixels[1:-1:2] = (above + below + 1) // 2
        if self.size != pixels.shape[1::-1]:
            pixels = self.cv2.resize(pixels, self.size, interpolation=self.cv2.INTER_AREA)
        return _upright(frame, pixels)


def _video_stream(streams: tuple[VideoStream, ...]) -> VideoStream:
    """Return the first stream that is a video and can be decoded."""
    videos = [each for each in streams if not each.disposition & _IMAGES]
    if not videos:
        only = ", only a cover image" if streams else ""
        raise BadClip(f"not a clip: no video stream{only}")
    # The stubs do not say that it is None without a decoder.
    if (known := next((each for each in videos if each.codec_context), None)) is None:
        raise BadClip(f"unknown codec: {_CONVERT}")
    return known


def _check_pixels(width: float, height: float) -> None:
    million, most = width * height / 1e6, MAX_PIXELS / 1e6
    if million > most:
        raise BadClip(f"too large: {million:,.0f} million pixels per frame, at most {most:,.0f}")


def _upright(frame: VideoFrame, pixels: Frames) -> Frames:
    """Turn and mirror pixels by the frame's display matrix, in quarter turns."""
    side_data: Mapping[str, Any] = frame.side_data  # the stubs declare motion vectors only
    if (stored := side_data.get("DISPLAYMATRIX")) is None:
        return pixels
    matrix = np.frombuffer(bytes(stored), np.int32)
    (a, b), (c, d) = matrix.reshape(3, 3)[:2, :2]  # the pixel (x, y) goes to (ax + cy, bx + dy)
    if abs(int(a)) < abs(int(b)):
        pixels, a, d = pixels.transpose(1, 0, 2), c, b
    return np.ascontiguousarray(pixels[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1])
