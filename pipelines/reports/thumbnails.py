"""What a report shows of an example's input, whatever the source."""

from __future__ import annotations

import base64
import dataclasses
import io
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

SIDE, SMALLEST = 320, 96  # pixels of a thumbnail's longer side
FRAMES = 12  # of a strip, at most
LONGEST = 4  # sides of a strip of frames, which may be longer, that count


@dataclasses.dataclass(frozen=True)
class Shown:
    """What a report shows of an input.

    Attributes:
        text: for inputs that are read.
        picture: encoded, for inputs that are seen.
        grid: rows and columns of the picture's cells that attention falls on; None if there are
            none.
        words: the items of the memory, where attention falls on words.
    """

    text: str = ""
    picture: bytes | None = None
    grid: tuple[int, int] | None = None
    words: tuple[str, ...] = ()


Show = Callable[[str, str], Shown]  # (split, id) → what to show of the input


class Thumbnail(NamedTuple):
    """A small picture as a data URI, its width and its height."""

    uri: str
    width: int
    height: int


def thumbnail(encoded: bytes) -> Thumbnail:
    """Return a picture as a small JPEG."""
    picture = Image.open(io.BytesIO(encoded)).convert("RGB")
    scale = SIDE / min(max(picture.size), LONGEST * min(picture.size))
    if scale < 1 or scale > 2:  # drawn scenes are tiny: the browser would blur them
        scale = min(scale, max(3, SMALLEST / max(picture.size)))
        width, height = (max(1, round(side * scale)) for side in picture.size)
        picture = picture.resize((width, height), Image.Resampling.LANCZOS)
    return Thumbnail(_data_uri(picture, "JPEG", quality=80), *picture.size)


def strip(frames: Sequence[bytes]) -> bytes:
    """Return frames of a clip side by side as one JPEG; of many, `FRAMES` evenly spaced ones."""
    count = min(FRAMES, len(frames))
    chosen = [frames[(2 * number + 1) * len(frames) // (2 * count)] for number in range(count)]
    pictures = [Image.open(io.BytesIO(frame)).convert("RGB") for frame in chosen]
    width, height = pictures[0].size
    if height > SIDE // 2:
        width, height = max(1, round(width * SIDE / 2 / height)), SIDE // 2
    whole = Image.new("RGB", (count * width, height))
    for number, picture in enumerate(pictures):
        whole.paste(picture.resize((width, height)), (number * width, 0))
    buffer = io.BytesIO()
    whole.save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def veil(attention: np.ndarray) -> str:
    """Return a black picture, more opaque where there is less attention, as a data URI."""
    shade = np.rint(190 * (1 - attention / max(attention.max(), 1e-9))).astype(np.uint8)
    rows, columns = attention.shape
    alpha = Image.fromarray(shade).resize((8 * columns, 8 * rows), Image.Resampling.BICUBIC)
    black = Image.new("L", alpha.size)
    return _data_uri(Image.merge("LA", (black, alpha)), "PNG", optimize=True)


def heat(shares: np.ndarray) -> str:
    """Return a table of shares, `[rows, columns]`, as a picture with a pixel for each, a data URI.

    Small shares can be told from none: the shade is the square root.
    """
    shade = np.rint(255 * np.sqrt(shares.clip(0, 1))).astype(np.uint8)
    return _data_uri(Image.fromarray(shade), "PNG", optimize=True)


def _data_uri(picture: Image.Image, kind: str, **options: Any) -> str:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(buffer.getvalue()).decode()}"
