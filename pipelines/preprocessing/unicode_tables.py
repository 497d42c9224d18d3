"""Properties of characters as constants of a graph, from the Unicode data of Python and `regex`."""

from __future__ import annotations

import functools
import itertools
import sys
import unicodedata
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np
import regex
import tensorflow as tf

from data.media.words import (
    CLASSES,
    CLOSING,
    NONSTARTER,
    OPENING,
    PICTOGRAPH,
    UNSPACED,
    WORD_CHARACTER,
)

# Separates the texts of a batch in one row of code points: no code point, so in no text.
SEPARATOR = sys.maxunicode + 1
_CLASSES = (*CLASSES, "other", "separator")
_FLAGS = {
    "pictograph": PICTOGRAPH,
    "word": WORD_CHARACTER,
    "nonstarter": NONSTARTER,
    "unspaced": UNSPACED,
    "closing": f"[{regex.escape(CLOSING)}]",
    "opening": f"[{regex.escape(OPENING)}]",
}


class Table(NamedTuple):
    """Sorted keys, int64 `[n]`, and values, int32 `[n, length]` padded with -1."""

    keys: np.ndarray
    values: np.ndarray


class Characters:
    """The properties of a row of characters, each computed in one look-up.

    Attributes:
        properties: int32 `[n]`: the index of the class, and a bit for each flag.
    """

    def __init__(self, properties: tf.Tensor) -> None:
        """See the attributes, and `of`."""
        self.properties = properties

    @classmethod
    def of(cls, row: tf.Tensor) -> Characters:
        """Look up code points, int32 `[n]`."""
        starts, values = _property_ranges()
        position = tf.searchsorted(starts, row, side="right") - 1
        return cls(tf.gather(tf.constant(values), position))

    def within(self, *classes: str) -> tf.Tensor:
        """Return whether each character is in one of the classes, bool `[n]`."""
        own = tf.bitwise.bitwise_and(self.properties, 31)
        return functools.reduce(
            tf.logical_or, (tf.equal(own, _CLASSES.index(name)) for name in classes)
        )

    def has(self, flag: str) -> tf.Tensor:
        """Return whether each character has a property, bool `[n]`."""
        return tf.bitwise.bitwise_and(self.properties, _bit(flag)) > 0

    def select(self, mask: tf.Tensor) -> Characters:
        """Return the characters where a mask, bool `[n]`, is true."""
        return Characters(tf.boolean_mask(self.properties, mask))

    def at(self, positions: tf.Tensor) -> Characters:
        """Return the characters at some positions."""
        return Characters(tf.gather(self.properties, positions))

    def shift(self, by: int) -> Characters:
        """Return the character `by` places before each one (after it, if negative).

        Where there is none, it is a separator.
        """
        fill = tf.fill([abs(by)], _CLASSES.index("separator"))
        if by > 0:
            return Characters(tf.concat([fill, self.properties], 0)[: -abs(by)])
        return Characters(tf.concat([self.properties, fill], 0)[abs(by) :])


def search(keys: np.ndarray, values: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Return the position of each value among sorted keys, and whether it is one of them."""
    sought = tf.cast(values, tf.int64)
    position = tf.searchsorted(tf.constant(keys), tf.reshape(sought, [-1]))
    position = tf.reshape(tf.minimum(position, len(keys) - 1), tf.shape(values))
    return position, tf.equal(tf.gather(tf.constant(keys), position), sought)


def in_ranges(points: tf.Tensor, ranges: Iterable[tuple[int, int]]) -> tf.Tensor:
    """Return whether each code point is in one of the sorted ranges."""
    bounds = np.array([(first, last + 1) for first, last in ranges], np.int32).ravel()
    return tf.equal(tf.searchsorted(bounds, points, side="right") % 2, 1)


def _bit(flag: str) -> int:
    return 32 << [*_FLAGS].index(flag)


@functools.cache
def _every_character() -> str:
    """Return all code points except the surrogates, which UTF-8 cannot encode."""
    return "".join(chr(p) for p in range(sys.maxunicode + 1) if not 0xD800 <= p < 0xE000)


@functools.cache
def _property_ranges() -> tuple[np.ndarray, np.ndarray]:
    """Return the first code point of each range of equal properties, and the properties."""
    properties = np.full(SEPARATOR + 1, _CLASSES.index("other"), np.int32)
    properties[SEPARATOR] = _CLASSES.index("separator")
    for index, expression in reversed([*enumerate(CLASSES.values())]):
        for first, last in _matches(expression):
            properties[first : last + 1] = index
    for flag, expression in _FLAGS.items():
        for first, last in _matches(expression):
            properties[first : last + 1] |= _bit(flag)
    starts = np.flatnonzero(np.diff(properties, prepend=-1))
    return starts.astype(np.int32), properties[starts]


def _matches(expression: str) -> Iterable[tuple[int, int]]:
    """Yield the ranges of the characters that match an expression."""
    for run in regex.finditer(f"(?V1)(?:{expression})+", _every_character()):
        yield ord(run[0][0]), ord(run[0][-1])


@functools.cache
def tables() -> Mapping[str, Table]:
    """Return the tables of normalization and lower case."""
    lower, decomposed, classes, pairs = {}, {}, {}, {}
    adjacent: dict[int, str] = {}
    for char in _every_character():
        if char.lower() != char:
            lower[ord(char)] = char.lower()
        if mark_class := unicodedata.combining(char):
            classes[ord(char)] = chr(mark_class)
        parts = unicodedata.normalize("NFD", char)
        if parts != char:
            decomposed[ord(char)] = parts
            if len(parts) > 1 and unicodedata.normalize("NFC", parts) == char:
                first = unicodedata.normalize("NFC", parts[:-1])
                pairs[pair_key(first, parts[-1])] = char
                adjacent |= {
                    pair_key(one, two): two
                    for one, two in itertools.pairwise(parts)
                    if not unicodedata.combining(two)
                }
    named = {
        "lower": lower,
        "decomposed": decomposed,
        "classes": classes,
        "pairs": pairs,
        "adjacent": adjacent,
    }
    return {name: _as_table(table) for name, table in named.items()}


def pair_key(first: str, second: str) -> int:
    """Return the key of two characters in the tables `pairs` and `adjacent`."""
    return ord(first) * 2**21 + ord(second)


def _as_table(entries: Mapping[int, str]) -> Table:
    values = np.full((len(entries), max(map(len, entries.values()))), -1, np.int32)
    for row, (_, text) in zip(values, sorted(entries.items()), strict=True):
        row[: len(text)] = list(map(ord, text))
    return Table(np.array(sorted(entries), np.int64), values)


@functools.cache
def case_ranges() -> tuple[tuple[tuple[int, int], ...], tuple[tuple[int, int], ...]]:
    """Return the cased and the case-ignorable characters, which decide about a final sigma.

    Python does not expose these properties, but `str.lower` reveals them: "xΣ" gets a final sigma
    if x is cased, "axΣ" but not " xΣ" if x is case-ignorable.
    """
    cased, ignorable = [], []
    for char in _every_character():
        if f"a{char}Σ".lower()[-1] == "ς" and f" {char}Σ".lower()[-1] != "ς":
            ignorable.append(ord(char))
        elif f"{char}Σ".lower()[-1] == "ς":
            cased.append(ord(char))
    return tuple(_ranges(cased)), tuple(_ranges(ignorable))


def _ranges(points: Iterable[int]) -> Iterable[tuple[int, int]]:
    """Merge consecutive code points into ranges.

    >>> list(_ranges([1, 2, 3, 7]))
    [(1, 3), (7, 7)]
    """
    array = np.array([*points])
    cuts = np.flatnonzero(np.diff(array) != 1) + 1
    return [(int(part[0]), int(part[-1])) for part in np.split(array, cuts)]
