"""Small clips whose frames carry their number, for the tests of what reads clips."""

from __future__ import annotations

import io
import os
import struct
import wave
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

Frames = npt.NDArray[np.uint8]

BITS = 16
# What OpenCV can write on any machine: file name → codec. GIFs come from Pillow.
FORMATS = {
    "a.mp4": "mp4v",
    "a.avi": "MJPG",
    "old.avi": "XVID",
    "a.mpg": "MPG1",
    "a.webm": "VP80",
    "a.mkv": "FFV1",
    "a.gif": "GIF",
}


def frame(number: int) -> Frames:
    """Return uint8 `[48, 64, 3]`: the number in 16 stripes, black or white."""
    bits = [255 * (number >> bit & 1) for bit in reversed(range(BITS))]
    return np.repeat(np.tile(np.array(bits, np.uint8).repeat(4), (48, 1))[..., None], 3, axis=2)


def numbers(frames: Frames) -> list[int]:
    """Read the numbers of frames, uint8 `[frames, 48, 64, 3]`."""
    stripes = frames.reshape(len(frames), 48, BITS, 4, 3).mean((1, 3, 4)) > 127
    return [int("".join("01"[bit] for bit in row), 2) for row in stripes.astype(int)]


def write_clip(
    path: Path,
    content: Iterable[int],
    codec: str | None = None,
    size: tuple[int, int] = (64, 48),
) -> Path:
    """Write a clip of 25 frames a second, `size` wide and high, and return its path."""
    codec = codec or FORMATS.get(path.name) or FORMATS[f"a{path.suffix}"]
    if codec == "GIF":
        content = list(content)
        return write_gif(path, content, [40] * len(content))
    target = path if path.suffix else path.with_suffix(_suffix(codec))
    fourcc = cv2.VideoWriter.fourcc(*codec)
    writer = cv2.VideoWriter(os.fspath(target), cv2.CAP_FFMPEG, fourcc, 25, size)
    assert writer.isOpened(), codec
    for number in content:
        writer.write(cv2.resize(frame(number), size))
    writer.release()
    return target


def encode(
    path: Path,
    codec: str,
    frames: Iterable[Frames],
    options: Mapping[str, str] | None = None,
    *,
    aspect: Fraction | None = None,
    pixels: str = "yuv420p",
) -> Path:
    """Write a clip of 25 frames a second with an encoder and its options.

    Args:
        path: the suffix selects the format.
        codec: an encoder of FFmpeg.
        frames: uint8 `[height, width, 3]` each.
        options: of the encoder: `{"flags": "+ilme+ildct"}` for an interlaced clip.
        aspect: width of a pixel by its height.
        pixels: the pixel format.
    """
    frames = list(frames)
    with av.open(path, "w") as container:
        stream = container.add_stream(codec, rate=25, options=dict(options or {}))
        assert isinstance(stream, av.VideoStream)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = pixels
        if aspect:
            stream.codec_context.sample_aspect_ratio = aspect
        for image in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())
    return path


def _suffix(codec: str) -> str:
    return next(Path(name).suffix for name, each in FORMATS.items() if each == codec)


def write_gif(
    path: Path,
    content: Iterable[int],
    durations: Sequence[int],
    size: tuple[int, int] = (64, 48),
) -> Path:
    """Write a GIF whose frames stand for so many milliseconds each."""
    first, *rest = [Image.fromarray(frame(number)).resize(size) for number in content]
    first.save(path, save_all=True, append_images=rest, duration=list(durations), loop=0)
    return path


def promise(path: Path, count: int) -> Path:
    """Write another number of frames into the header of an AVI."""
    data = bytearray(path.read_bytes())
    struct.pack_into("<I", data, data.index(b"avih") + 8 + 16, count)
    struct.pack_into("<I", data, data.index(b"strh") + 8 + 32, count)
    path.write_bytes(data)
    return path


def audio() -> bytes:
    """Return a sound without frames."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(bytes(16_000))
    return buffer.getvalue()
