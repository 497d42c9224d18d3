"""Similar images: a perceptual hash, which small changes of size, color or quality hardly change.

pHash: the signs of the lowest frequencies of a small gray copy (Zauner 2010).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from data.media.images import load_image
from data.media.packed import read_content
from data.media.sampling import Sampling
from data.media.video import sample

NEAR = 4  # of 64 bits: see `wordreel check --help`
_LEVEL = 2.0  # gray levels of contrast below which an image counts as empty
_BLOCK = 1024  # hashes compared at once


def hash_file(path: Path, start: float, end: float | None, place: str, *, clip: bool) -> int:
    """Return the hash of an image, or of the middle frame of a clip or a part of it (in seconds).

    `place` is that of an image or clip in a larger file.

    Raises:
        UserError: if it cannot be decoded.
        OSError: if it cannot be read.
    """
    if clip:
        middle = sample(path, Sampling(count=1), start=start, end=end, place=place)
        return perceptual_hash(middle.frames[0])
    jpeg = load_image(read_content(path, place), max_side=128)
    pixels = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR_RGB)
    assert pixels is not None  # it was just encoded
    return perceptual_hash(pixels)


def perceptual_hash(image: np.ndarray) -> int:
    """Return 64 bits of an upright image, uint8 `[height, width, 3]`; 0 if it is empty.

    >>> blocks = np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8)
    >>> large, small = (cv2.resize(blocks, (side, side)) for side in (96, 60))
    >>> (perceptual_hash(large) ^ perceptual_hash(small)).bit_count() <= NEAR
    True
    """
    gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)
    small = cv2.resize(gray, (32, 32), interpolation=cv2.INTER_AREA)
    if small.std() < _LEVEL:
        return 0
    low = cv2.dct(small)[:8, :8].ravel()
    bits = low > np.median(low[1:])  # the first is the brightness
    return int.from_bytes(np.packbits(bits).tobytes())


def near_pairs(hashes: np.ndarray, near: int = NEAR) -> Iterator[tuple[int, int, int]]:
    """Yield pairs of similar images.

    Args:
        hashes: of `perceptual_hash`, uint64 `[images]`; 0 resembles nothing.
        near: the largest number of bits that may differ.

    Yields:
        The number of different bits, and the indices, the smaller first.
    """
    known = np.flatnonzero(hashes)
    for start in range(0, len(known), _BLOCK):
        rows = known[start : start + _BLOCK]
        differ = np.bitwise_count(hashes[rows, None] ^ hashes[known])
        close = (differ <= near) & (rows[:, None] < known)
        for row, column in zip(*np.nonzero(close), strict=True):
            yield int(differ[row, column]), int(rows[row]), int(known[column])
