"""`data.media.words.normalize` in TensorFlow ops: NFC and lower case of code points."""

from __future__ import annotations

import tensorflow as tf

from data.media.words import MARKS_IN_A_RUN
from pipelines.preprocessing.unicode_tables import (
    Characters,
    Table,
    case_ranges,
    in_ranges,
    search,
    tables,
)

_SIGMA, _FINAL_SIGMA = 0x3A3, 0x3C2
_GRAPHEME_JOINER = 0x34F


def lowercase(row: tf.Tensor) -> tf.Tensor:
    """Lower-case code points, int32 `[n]`, as `str.lower` does, including the final sigma."""
    cased, ignorable = (in_ranges(row, ranges) for ranges in case_ranges())
    # Whether the nearest character before (after) that is not case-ignorable is cased.
    not_ignorable = tf.boolean_mask(cased, ~ignorable)
    before = tf.math.cumsum(tf.cast(~ignorable, tf.int32), exclusive=True)
    neighbors = tf.concat([[False], not_ignorable, [False]], axis=0)
    after_letter = tf.gather(neighbors, before)
    before_letter = tf.gather(neighbors, before + 1 + tf.cast(~ignorable, tf.int32))
    final = tf.equal(row, _SIGMA) & after_letter & ~before_letter
    return _replace(tf.where(final, _FINAL_SIGMA, row), tables()["lower"])


def normalize(row: tf.Tensor) -> tf.Tensor:
    """Normalize code points, int32 `[n]`, to NFC, with long runs of marks divided.

    Characters are decomposed, sorted by class within each run of marks, and composed again
    (Unicode Standard Annex 15).
    """
    row = _replace(_divide_runs(row), tables()["decomposed"])
    mark_class = _mark_classes(row)
    run = tf.cumsum(tf.cast(tf.equal(mark_class, 0), tf.int64))
    key = run * 256 + tf.cast(mark_class, tf.int64)
    count = tf.size(row, tf.int64)
    row = tf.gather(row, tf.argsort(key * count + tf.range(count)))  # a stable sort
    return _compose(row)


def _divide_runs(row: tf.Tensor) -> tf.Tensor:
    """Insert U+034F after each 30 marks that more marks follow."""
    marks = Characters.of(row).has("nonstarter")
    run = tf.cumsum(tf.cast(~marks, tf.int32))
    before = tf.cumsum(tf.cast(marks, tf.int32), exclusive=True)
    before -= tf.gather(tf.math.segment_min(before, run), run)
    inserts = tf.cast(marks & (before > 0) & tf.equal(before % MARKS_IN_A_RUN, 0), tf.int64)
    places = tf.cumsum(1 + inserts) - 2  # before the last copy of each character
    return tf.tensor_scatter_nd_update(
        tf.repeat(row, 1 + inserts),
        tf.boolean_mask(places, inserts > 0)[:, tf.newaxis],
        tf.fill([tf.reduce_sum(inserts)], _GRAPHEME_JOINER),
    )


def _compose(row: tf.Tensor) -> tf.Tensor:
    """Compose characters with those that follow them, in groups that cannot interact.

    A group is a character and its marks, or a few characters such as the parts of a Hangul
    syllable; groups of more than one are composed in parallel.
    """
    previous = tf.concat([[0], row[:-1]], axis=0)
    _, follows = search(tables()["adjacent"].keys, _pair_key(previous, row))
    starts_group = (tf.equal(_mark_classes(row), 0) & ~follows) | tf.equal(
        tf.range(tf.size(row)), 0
    )
    group = tf.cumsum(tf.cast(starts_group, tf.int32)) - 1
    lengths = tf.math.segment_sum(tf.ones_like(row), group)
    several = tf.gather(lengths > 1, group)
    lengths = tf.boolean_mask(lengths, lengths > 1)
    groups = tf.RaggedTensor.from_row_lengths(tf.boolean_mask(row, several), lengths)
    composed = _compose_groups(groups.to_tensor(default_value=-1))
    flat = tf.RaggedTensor.from_tensor(composed, lengths).flat_values
    row = tf.tensor_scatter_nd_update(row, tf.where(several), flat)
    return tf.boolean_mask(row, row >= 0)


def _compose_groups(groups: tf.Tensor) -> tf.Tensor:
    """Compose each row of `[groups, length]`; what is joined to an earlier character becomes -1."""
    mark_classes = _mark_classes(groups)
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

    done = tf.where(tf.equal(tf.range(size), 0), groups, -1)
    first = (tf.constant(1), done, tf.zeros_like(numbers), tf.fill([count], -1))
    return tf.while_loop(lambda at, *_: at < size, step, first)[1]


def _pair(first: tf.Tensor, second: tf.Tensor) -> tf.Tensor:
    """Return the composition of two code points; -1: none."""
    keys, values = tables()["pairs"]
    position, found = search(keys, _pair_key(first, second))
    return tf.where(found & (second >= 0), tf.gather(tf.constant(values[:, 0]), position), -1)


def _pair_key(first: tf.Tensor, second: tf.Tensor) -> tf.Tensor:
    return tf.cast(first, tf.int64) * 2**21 + tf.cast(second, tf.int64)


def _replace(row: tf.Tensor, table: Table) -> tf.Tensor:
    """Replace each key of a table by its code points."""
    position, found = search(table.keys, row)
    same = tf.pad(row[:, tf.newaxis], [[0, 0], [0, table.values.shape[1] - 1]], constant_values=-1)
    new = tf.where(found[:, tf.newaxis], tf.gather(tf.constant(table.values), position), same)
    return tf.boolean_mask(new, new >= 0)


def _mark_classes(points: tf.Tensor) -> tf.Tensor:
    """Return the canonical combining class of each code point, int32 of the same shape."""
    keys, values = tables()["classes"]
    position, found = search(keys, points)
    return tf.where(found, tf.gather(tf.constant(values[:, 0]), position), 0)
