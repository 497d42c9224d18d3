"""The handwritten digits that scikit-learn ships: 1,797 images of 8 × 8 pixels.

Alpaydin & Kaynak (1998), "Optical Recognition of Handwritten Digits", UCI Machine Learning
Repository, https://doi.org/10.24432/C50P49, licensed CC BY 4.0: the test part, by 13 writers. A
pixel is the number of set pixels in a 4 × 4 block of the scan. The split is stratified by digit.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from data.annotations.entries import Entry
from data.media.images import encode_png

# Increase it when the images or their splits change, so that the dataset is prepared again.
VERSION = 1
SEED = 0
SHARES = {"train": 0.6, "validation": 0.2, "test": 0.2}
LEVELS = 16  # the highest pixel value


class Digits(NamedTuple):
    """The digits of a split.

    Attributes:
        ids: the index of each in scikit-learn's array, from 1: "digit-0042".
        pixels: uint8 `[digits, 8, 8]`, 0 to 16.
        labels: int64 `[digits]`, 0 to 9.
    """

    ids: list[str]
    pixels: np.ndarray
    labels: np.ndarray


@functools.cache
def _images_and_labels() -> tuple[np.ndarray, np.ndarray]:
    from sklearn.datasets import load_digits  # takes a second to import

    bunch = load_digits()
    return bunch.images.astype(np.uint8), bunch.target.astype(np.int64)


def entries(seed: int) -> Iterator[Entry]:
    """Yield the entries of all splits; they do not depend on the seed."""
    del seed
    for split, digits in read_digits().items():
        for name, label in zip(digits.ids, digits.labels, strict=True):
            yield Entry(name, name, "", (), split, str(label))


def render_png(digit_id: str) -> bytes:
    """Return the image of a digit, encoded: white on black."""
    pixels = _images_and_labels()[0][int(digit_id.removeprefix("digit-")) - 1]
    return encode_png(np.rint(pixels * (255 / LEVELS)).astype(np.uint8))


def read_digits() -> dict[str, Digits]:
    """Return the digits of each split (1,078, 360 and 359), in scikit-learn's order."""
    pixels, labels = _images_and_labels()
    rng = np.random.default_rng(SEED)
    splits = np.empty(len(labels), int)
    ends = np.cumsum(list(SHARES.values()))[:-1]
    for digit in range(10):
        own = rng.permutation(np.flatnonzero(labels == digit))
        for number, part in enumerate(np.split(own, np.rint(ends * len(own)).astype(int))):
            splits[part] = number
    found = {}
    for number, split in enumerate(SHARES):
        rows = np.flatnonzero(splits == number)
        found[split] = Digits([f"digit-{row + 1:04d}" for row in rows], pixels[rows], labels[rows])
    return found
