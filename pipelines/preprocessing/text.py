"""`data.media.vocabulary.tokenize` in TensorFlow ops, for exports that run without Python.

The ops compute the same as the function: normalize (NFC), lower-case, find the words. The first two
work on code points, with tables from Python's Unicode data, so that both use the same version of
Unicode. `tf.strings.lower` would know fewer letters (41 code points) and, worse, follow the locale
of the process: under LANG=tr_TR an export would lower-case "I" to a dotless "ı". The words are
found by the same expression for RE2, which has no look-ahead and other classes of letters: every
class is written out.
"""

from __future__ import annotations

import functools
import itertools
import re
import sys
import unicodedata
from collections.abc import Iterable, Mapping

import numpy as np
import tensorflow as tf

from data.media.vocabulary import CLASSES, END, START, UNKNOWN, Vocabulary

# Separates the texts of a batch in one row of code points: no code point, so in no text.
_SEPARATOR = sys.maxunicode + 1
_SIGMA, _FINAL_SIGMA = 0x3A3, 0x3C2
_FIRST_MARK = 0x300  # a text of lower code points is already normalized


def encode(texts: tf.Tensor, vocabulary: Vocabulary, max_words: int) -> tf.Tensor:
    """Encode texts as `vocabulary.encode` does: string `[batch]` → int32 `[batch, time]`, padded.

    There is at least one text; bytes that are not UTF-8 count as punctuation.
    """
    words = tokenize(texts, vocabulary.punctuation)[:, :max_words]
    ids = tf.ragged.map_flat_values(functools.partial(_word_ids, vocabulary), words)
    rows = ids.nrows()
    start, end = (tf.fill([rows, 1], tf.constant(token, tf.int32)) for token in (START, END))
    return tf.concat([start, ids, end], axis=1).to_tensor()


def _word_ids(vocabulary: Vocabulary, words: tf.Tensor) -> tf.Tensor:
    """Return the ids of words, `[n]`: a hash finds the only candidate, which is compared."""
    buckets = 2**62
    with tf.init_scope():  # values, not ops of the graph
        hashes = tf.strings.to_hash_bucket_fast(list(vocabulary.words), buckets).numpy()
    order = np.argsort(hashes)
    if len(np.unique(hashes)) < len(hashes):
        raise ValueError("two words of the vocabulary have the same hash")
    position, _ = _search(hashes[order], tf.strings.to_hash_bucket_fast(words, buckets))
    ids = tf.gather(tf.constant(order, tf.int32), position)
    known = tf.equal(tf.gather(tf.constant(vocabulary.words), ids), words)
    return tf.where(known, ids, UNKNOWN)


def tokenize(texts: tf.Tensor, punctuation: bool = False) -> tf.RaggedTensor:
    """Split texts, string `[batch]`, into lower-case words, ragged string `[batch, (words)]`."""
    points = tf.strings.unicode_decode(texts, "UTF-8", errors="replace")
    separators = tf.fill([points.nrows(), 1], tf.constant(_SEPARATOR, tf.int32))
    row = tf.concat([points, separators], axis=1).flat_values
    needs_normalizing = tf.reduce_any((row >= _FIRST_MARK) & (row < _SEPARATOR))
    row = tf.cond(needs_normalizing, lambda: normalize(row), lambda: row)
    row = lowercase(row)
    ends = tf.where(tf.equal(row, _SEPARATOR))[:, 0]
    starts = tf.concat([[tf.constant(0, tf.int64)], ends[:-1] + 1], axis=0)
    within = tf.not_equal(row, _SEPARATOR)
    points = tf.RaggedTensor.from_row_lengths(tf.boolean_mask(row, within), ends - starts)
    lower = tf.strings.unicode_encode(points, "UTF-8")
    return tf.strings.split(tf.strings.regex_replace(lower, _expression(punctuation), r"\1 "))


def lowercase(row: tf.Tensor) -> tf.Tensor:
    """Lower-case code points, int32 `[n]`, as `str.lower` does, including the final sigma."""
    cased, ignorable = (_in_ranges(row, ranges) for ranges in _case_ranges())
    # Whether the nearest character before (after) that is not case-ignorable is cased.
    not_ignorable = tf.boolean_mask(cased, ~ignorable)
    before = tf.math.cumsum(tf.cast(~ignorable, tf.int32), exclusive=True)
    neighbors = tf.concat([[False], not_ignorable, [False]], axis=0)
    after_letter = tf.gather(neighbors, before)
    before_letter = tf.gather(neighbors, before + 1 + tf.cast(~ignorable, tf.int32))
    final = tf.equal(row, _SIGMA) & after_letter & ~before_letter
    return _replace(tf.where(final, _FINAL_SIGMA, row), _tables()["lower"])


def normalize(row: tf.Tensor) -> tf.Tensor:
    """Normalize code points, int32 `[n]`, to NFC (Unicode Standard Annex 15).

    Characters are decomposed, sorted by class within each run of marks, and composed again.
    """
    row = _replace(row, _tables()["decomposed"])
    mark_class = _classes(row)
    run = tf.cumsum(tf.cast(tf.equal(mark_class, 0), tf.int64))
    key = run * 256 + tf.cast(mark_class, tf.int64)
    count = tf.size(row, tf.int64)
    row = tf.gather(row, tf.argsort(key * count + tf.range(count)))  # a stable sort
    return _compose(row)


def _compose(row: tf.Tensor) -> tf.Tensor:
    """Compose, one character after the other, in parallel for groups that cannot interact."""
    starts_group = tf.equal(_classes(row), 0) & ~_in_ranges(row, _second_ranges())
    starts_group = tf.concat([[True], starts_group[1:]], axis=0)
    lengths = tf.math.segment_sum(tf.ones_like(row), tf.cumsum(tf.cast(starts_group, tf.int32)) - 1)
    groups = tf.RaggedTensor.from_row_lengths(row, lengths).to_tensor(default_value=-1)
    mark_classes = _classes(groups)
    count, size = tf.unstack(tf.shape(groups))
    numbers = tf.range(count)

    def step(
        at: tf.Tensor, done: tf.Tensor, starter: tf.Tensor, last: tf.Tensor
    ) -> tuple[tf.Tensor, ...]:
        point, mark_class = groups[:, at], mark_classes[:, at]
        own = tf.gather(done, starter, axis=1, batch_dims=1)
        joined = _pair(own, point)
        # Blocked by a mark of the same or a higher class in between.
        free = tf.equal(last, -1) | (last < mark_class)
        joins = (
            (joined >= 0)
            & free
            & tf.equal(tf.gather(mark_classes, starter, axis=1, batch_dims=1), 0)
        )
        positions = tf.stack([numbers, tf.where(joins, starter, at)], axis=1)
        done = tf.tensor_scatter_nd_update(done, positions, tf.where(joins, joined, point))
        begins = ~joins & tf.equal(mark_class, 0) & (point >= 0)
        starter = tf.where(begins, at, starter)
        last = tf.where(begins, -1, tf.where(joins, last, mark_class))
        return at + 1, done, starter, last

    done = tf.concat([groups[:, :1], tf.fill([count, size - 1], -1)], axis=1)
    first = (tf.constant(1), done, tf.zeros_like(numbers), tf.fill([count], -1))
    _, done, _, _ = tf.while_loop(lambda at, *_: at < size, step, first)
    return tf.boolean_mask(done, done >= 0)


def _pair(first: tf.Tensor, second: tf.Tensor) -> tf.Tensor:
    """Return the composition of two code points; -1: none."""
    keys, values = _tables()["pairs"]
    pair = tf.cast(first, tf.int64) * 2**21 + tf.cast(second, tf.int64)
    position, found = _search(keys, pair)
    return tf.where(found & (second >= 0), tf.gather(tf.constant(values[:, 0]), position), -1)


def _replace(row: tf.Tensor, table: tuple[np.ndarray, np.ndarray]) -> tf.Tensor:
    """Replace each key of a table by its code points, `[keys, length]`, padded with -1."""
    keys, values = table
    position, found = _search(keys, row)
    same = tf.pad(row[:, tf.newaxis], [[0, 0], [0, values.shape[1] - 1]], constant_values=-1)
    new = tf.where(found[:, tf.newaxis], tf.gather(tf.constant(values), position), same)
    return tf.boolean_mask(new, new >= 0)


def _classes(points: tf.Tensor) -> tf.Tensor:
    """Return the canonical combining class of each code point, int32 of the same shape."""
    keys, values = _tables()["classes"]
    position, found = _search(keys, points)
    return tf.where(found, tf.gather(tf.constant(values[:, 0]), position), 0)


def _search(keys: np.ndarray, values: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Return the position of each value among sorted keys, and whether it is one of them."""
    sought = tf.cast(values, tf.int64)
    position = tf.searchsorted(tf.constant(keys), tf.reshape(sought, [-1]))
    position = tf.reshape(tf.minimum(position, len(keys) - 1), tf.shape(values))
    return position, tf.equal(tf.gather(tf.constant(keys), position), sought)


def _in_ranges(points: tf.Tensor, ranges: Iterable[tuple[int, int]]) -> tf.Tensor:
    """Return whether each code point is in one of the sorted ranges."""
    bounds = np.array([(first, last + 1) for first, last in ranges], np.int32).ravel()
    return tf.equal(tf.searchsorted(bounds, points, side="right") % 2, 1)


# Python's Unicode data as tables.


def _every_character() -> Iterable[str]:
    """Yield all code points except the surrogates, which UTF-8 cannot encode."""
    for point in range(sys.maxunicode + 1):
        if not 0xD800 <= point < 0xE000:
            yield chr(point)


@functools.cache
def _tables() -> Mapping[str, tuple[np.ndarray, np.ndarray]]:
    """Return sorted keys, int64 `[n]`, and values, int32 `[n, length]` padded with -1."""
    lower, decomposed, classes, pairs = {}, {}, {}, {}
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
                pairs[ord(first) * 2**21 + ord(parts[-1])] = char
    named = {"lower": lower, "decomposed": decomposed, "classes": classes, "pairs": pairs}
    return {name: _as_arrays(table) for name, table in named.items()}


def _as_arrays(table: Mapping[int, str]) -> tuple[np.ndarray, np.ndarray]:
    values = np.full((len(table), max(map(len, table.values()))), -1, np.int32)
    for row, (_, text) in zip(values, sorted(table.items()), strict=True):
        row[: len(text)] = list(map(ord, text))
    return np.array(sorted(table), np.int64), values


@functools.cache
def _second_ranges() -> tuple[tuple[int, int], ...]:
    """Return the characters that can compose with a preceding one."""
    seconds = {int(key) % 2**21 for key in _tables()["pairs"][0]}
    return tuple((point, point) for point in sorted(seconds))


@functools.cache
def _case_ranges() -> tuple[tuple[tuple[int, int], ...], tuple[tuple[int, int], ...]]:
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
    for _, group in itertools.groupby(enumerate(points), lambda pair: pair[1] - pair[0]):
        run = [point for _, point in group]
        yield run[0], run[-1]


@functools.cache
def _expression(punctuation: bool) -> str:
    """Return the expression of a token for RE2, with the skipped characters around it."""
    unspaced, letter, inner, emoji, mark = (_class(CLASSES[name]) for name in CLASSES)
    single = [emoji, mark] if punctuation else [emoji]
    token = "|".join([unspaced, f"{letter}+(?:['’-]{inner}+)*", *single])
    skipped = "[^" + "".join(each[1:-1] for each in (unspaced, letter, *single)) + "]"
    return f"{skipped}*({token})|{skipped}+"


def _class(pattern: str) -> str:
    """Write out all characters of a class of Python's regular expressions."""
    matches = re.compile(pattern).fullmatch
    ranges = _ranges(ord(char) for char in _every_character() if matches(char))
    return "[" + "".join(rf"\x{{{first:x}}}-\x{{{last:x}}}" for first, last in ranges) + "]"
