"""Real hand-written digits that come with Wordreel: 1,797 pictures of 8 × 8 pixels.

Alpaydin & Kaynak (1998), "Optical Recognition of Handwritten Digits", UCI Machine Learning
Repository, https://doi.org/10.24432/C50P49, licensed CC BY 4.0: the test part, by 13 writers. A
pixel counts how many of 16 finer ones were on. `digits.csv.gz` is the file that scikit-learn's
`load_digits` reads, byte for byte.

The split is made once, from `SEED`, digit by digit, so that each is as frequent everywhere.
"""

from __future__ import annotations

import functools
import gzip
from pathlib import Path
from typing import NamedTuple

import numpy as np

FILE = Path(__file__).with_name("digits.csv.gz")
# Raised when the file or its splits change, so that the dataset is made anew.
VERSION = 1
SEED = 0
SHARES = {"train": 0.6, "validation": 0.2, "test": 0.2}
SIDE, LEVELS = 8, 16  # pixels a side; the darkest value


class Digits(NamedTuple):
    """Digits of a split.

    Attributes:
        ids: the line of each in the file, from 1: "digit-0042".
        pixels: uint8 `[digits, 8, 8]`, 0 to 16.
        labels: int64 `[digits]`, 0 to 9.
    """

    ids: list[str]
    pixels: np.ndarray
    labels: np.ndarray


class Digit(NamedTuple):
    """A digit: uint8 `[8, 8]`, 0 to 16, and what it is."""

    pixels: np.ndarray
    label: str


def digit_by_id(name: str) -> Digit:
    """Return a digit.

    Raises:
        KeyError: if there is none of that id.
    """
    return _by_id()[name]


@functools.cache
def _by_id() -> dict[str, Digit]:
    return {
        name: Digit(pixels, str(label))
        for found in read_digits().values()
        for name, pixels, label in zip(*found, strict=True)
    }


def read_digits() -> dict[str, Digits]:
    """Return the digits of each split, in the file's order.

    >>> {split: len(digits.ids) for split, digits in read_digits().items()}
    {'train': 1078, 'validation': 360, 'test': 359}
    """
    with gzip.open(FILE, "rt", encoding="ascii") as file:
        table = np.loadtxt(file, np.int64, delimiter=",")
    pixels, labels = table[:, :-1].astype(np.uint8).reshape(-1, SIDE, SIDE), table[:, -1]
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
