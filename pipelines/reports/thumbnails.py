"""Small images for reports: thumbnails, strips of frames, attention overlays, heatmaps."""

from __future__ import annotations

import base64
import dataclasses
import io
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

SIDE, MIN_SIDE = 320, 96  # pixels of a thumbnail's longer side
FRAMES = 12  # of a strip, at most
MAX_RATIO = 4  # of width to height; longer strips are scaled by their height


@dataclasses.dataclass(frozen=True)
class Preview:
    """A preview of an example's input."""

    text: str = ""
    image: bytes | None = None  # encoded, of an image or video input
    grid: tuple[int, int] | None = None  # rows and columns that attention weights belong to, if any
    words: tuple[str, ...] = ()  # of a text input, as the model reads them


PreviewOf = Callable[[str, str], Preview]  # (split, id) → preview of the input


class Thumbnail(NamedTuple):
    """A small image as a data URI, with its width and height in pixels."""

    uri: str
    width: int
    height: int


def thumbnail(encoded: bytes) -> Thumbnail:
    """Return an encoded image as a small JPEG."""
    image = Image.open(io.BytesIO(encoded)).convert("RGB")
    scale = SIDE / min(max(image.size), MAX_RATIO * min(image.size))
    if scale < 1 or scale > 2:  # tiny images are enlarged: browsers would blur them
        scale = min(scale, max(3, MIN_SIDE / max(image.size)))
        width, height = (max(1, round(side * scale)) for side in image.size)
        image = image.resize((width, height), Image.Resampling.LANCZOS)
    return Thumbnail(_data_uri(image, "JPEG", quality=80), *image.size)


def strip(frames: Sequence[bytes]) -> bytes:
    """Return frames of a clip side by side as one JPEG, at most `FRAMES` evenly spaced ones."""
    count = min(FRAMES, len(frames))
    chosen = [frames[(2 * number + 1) * len(frames) // (2 * count)] for number in range(count)]
    images = [Image.open(io.BytesIO(frame)).convert("RGB") for frame in chosen]
    width, height = images[0].size
    if height > SIDE // 2:
        width, height = max(1, round(width * SIDE / 2 / height)), SIDE // 2
    whole = Image.new("RGB", (count * width, height))
    for number, image in enumerate(images):
        whole.paste(image.resize((width, height)), (number * width, 0))
    buffer = io.BytesIO()
    whole.save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def attention_overlay(attention: np.ndarray) -> str:
    """Return a black image that is more opaque at lower weights `[rows, columns]`, a data URI."""
    shade = np.rint(190 * (1 - attention / max(attention.max(), 1e-9))).astype(np.uint8)
    rows, columns = attention.shape
    alpha = Image.fromarray(shade).resize((8 * columns, 8 * rows), Image.Resampling.BICUBIC)
    black = Image.new("L", alpha.size)
    return _data_uri(Image.merge("LA", (black, alpha)), "PNG", optimize=True)


def heatmap(shares: np.ndarray) -> str:
    """Return fractions `[rows, columns]` as an image with one pixel each, a data URI.

    The brightness is the square root, so that small fractions differ from 0.
    """
    shade = np.rint(255 * np.sqrt(shares.clip(0, 1))).astype(np.uint8)
    return _data_uri(Image.fromarray(shade), "PNG", optimize=True)


def _data_uri(image: Image.Image, kind: str, **options: Any) -> str:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(buffer.getvalue()).decode()}"
