"""Captions and picture rows → training batches, in an order that is a function of the seed.

The order of an epoch depends on (seed, epoch) alone, so a run that was interrupted goes on in
the middle of an epoch by skipping the batches it has seen, without reading them.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from data.media.vocabulary import PAD, Vocabulary, tokenize
from pipelines.config.config import Config
from pipelines.inputs.tables import Table

POOL = 50  # batches sorted by length together: little padding, yet no two epochs alike


@dataclasses.dataclass(frozen=True)
class Captions:
    """Every caption of a split as word ids, and the row of its picture.

    Attributes:
        tokens: int32 arrays `[START, words…, END]`.
        rows: int64 `[captions]`, positions in the picture table.
    """

    tokens: Sequence[np.ndarray]
    rows: np.ndarray

    @classmethod
    def of(
        cls,
        examples: Sequence[tuple[str, Sequence[str]]],
        vocabulary: Vocabulary,
        positions: dict[str, int],
        max_words: int,
    ) -> Captions:
        """Encode `(image_id, captions)` pairs."""
        pairs = [(name, caption) for name, captions in examples for caption in captions]
        return cls(
            [np.array(vocabulary.encode(text, max_words), np.int32) for _, text in pairs],
            np.array([positions[name] for name, _ in pairs], np.int64),
        )

    def batches(
        self,
        batch_size: int,
        seed: int,
        epoch: int,
        *,
        together: int = 0,
        inputs: Sequence[int] | None = None,
    ) -> list[np.ndarray]:
        """Return the caption numbers of each batch of an epoch; at most one batch is smaller.

        By length (`together` is 0), see `batches_by_length`: that of a caption and, where `inputs`
        says how long the rows of the table are, of what it is about. Else by picture: pictures are
        shuffled and `together` captions of each stand side by side.
        """
        rng = np.random.default_rng([seed, epoch])
        if together:
            visit = self._number_within_picture(rng) // together
            rank = rng.random((visit.max() + 1, self.rows.max() + 1))[visit, self.rows]
            order = np.lexsort((rank, visit))
            return [order[i : i + batch_size] for i in range(0, len(order), batch_size)]
        lengths = np.array([len(tokens) for tokens in self.tokens])
        if inputs is not None:
            lengths += np.array(inputs)[self.rows]
        return batches_by_length(lengths.tolist(), batch_size, rng)

    def _number_within_picture(self, rng: np.random.Generator) -> np.ndarray:
        """Number the captions of each picture from 0 in an order of chance: int64 `[captions]`."""
        order = np.lexsort((rng.random(len(self.rows)), self.rows))
        first = np.searchsorted(self.rows[order], self.rows[order])
        numbers = np.empty(len(order), np.int64)
        numbers[order] = np.arange(len(order)) - first
        return numbers


def batches_by_length(
    lengths: Sequence[int], batch_size: int, rng: np.random.Generator
) -> list[np.ndarray]:
    """Return the example numbers of each batch of an epoch; at most one batch is smaller.

    Examples are shuffled, cut into pools of `POOL` batches, sorted by length within a pool, cut
    into batches, and the batches shuffled.
    """
    order, size = rng.permutation(len(lengths)), np.array(lengths)
    batches = []
    for start in range(0, len(order), POOL * batch_size):
        pool = order[start : start + POOL * batch_size]
        pool = pool[np.argsort(size[pool], kind="stable")]
        batches += [pool[i : i + batch_size] for i in range(0, len(pool), batch_size)]
    rng.shuffle(batches)
    return batches


def training_batches(
    captions: Captions,
    table: Table,
    batch_size: int,
    *,
    together: int,
    seed: int,
    epoch: int,
    skip: int = 0,
) -> tf.data.Dataset:
    """Return an epoch's batches from number `skip` on.

    Where rows are features, batches go by length, so that little is padding. A backbone that
    learns needs pictures of all kinds in a batch, lest its norms see only those that are told in
    nine words; several captions can share its pass over a picture: see `together`.

    Yields:
        `(rows, (tokens, owners))`: rows of pictures, mirrored at random if `flips`, uint8
        `[pictures, height, width, 3]` or float16 `[pictures, cells, depth]`; int32
        `[captions, time]`, padded with PAD; and int32 `[captions]`, the row each belongs to.
    """
    batches = captions.batches(batch_size, seed, epoch, together=together, inputs=table.lengths)

    def generate() -> Iterator[tuple[np.ndarray, tuple[np.ndarray, np.ndarray]]]:
        for number in range(skip, len(batches)):
            chosen = batches[number]
            rows = captions.rows[chosen]
            owners = np.arange(len(rows))
            if together:
                rows, owners = np.unique(rows, return_inverse=True)
            chance = np.random.default_rng([seed, epoch, number])
            tokens = pad([captions.tokens[i] for i in chosen])
            yield table.read(rows, chance), (tokens, owners.astype(np.int32))

    signature = (
        table.spec,
        (tf.TensorSpec([None, None], tf.int32), tf.TensorSpec([None], tf.int32)),
    )
    return tf.data.Dataset.from_generator(generate, output_signature=signature).prefetch(4)


class Timed:
    """Hands batches on and counts the seconds that who takes them has waited.

    Attributes:
        seconds: so far; the first batch is not counted, for which everything has to start.
    """

    def __init__(
        self, batches: Iterable[Any], clock: Callable[[], float] = time.perf_counter
    ) -> None:
        """Take the batches, and a clock."""
        self.batches, self.clock, self.seconds = batches, clock, 0.0

    def __iter__(self) -> Iterator[Any]:
        """Yield the batches."""
        batches = iter(self.batches)
        yield from itertools.islice(batches, 1)
        while True:
            asked = self.clock()
            batch = next(batches, None)
            self.seconds += self.clock() - asked
            if batch is None:
                return
            yield batch


def by_form(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Compile a function of a nest of arrays: a graph for each form, whatever the sizes.

    One graph for features `[batch, cells, depth]` and for maps `[batch, height, width, channels]`
    would know nothing of the shape of either.
    """

    @functools.cache
    def compiled(ranks: tuple[int, ...]) -> Any:
        del ranks
        return tf.function(function, reduce_retracing=True)

    return lambda inputs: compiled(tuple(map(np.ndim, tf.nest.flatten(inputs))))(inputs)


def note_cut(texts: Sequence[str], vocabulary: Vocabulary, config: Config, what: str) -> list[str]:
    """Say, on the screen too, how many texts are longer than is read; return no or one line."""
    most = config.max_words
    lengths = [len(tokenize(text, vocabulary.punctuation)) for text in texts]
    long = [length for length in lengths if length > most]
    if not long:
        return []
    note = (
        f"{len(long):,} of {len(texts):,} {what} have more than {most} words, the longest "
        f"{max(long):,}; the rest of each is cut: see --max-words"
    )
    print(note)
    return [note]


def pad(sequences: Sequence[np.ndarray]) -> np.ndarray:
    """Stack sequences of different lengths, PAD behind the shorter ones.

    >>> pad([np.array([1, 2]), np.array([1, 7, 2])])
    array([[1, 2, 0],
           [1, 7, 2]], dtype=int32)
    """
    padded = np.full((len(sequences), max(map(len, sequences))), PAD, np.int32)
    for row, sequence in zip(padded, sequences, strict=True):
        row[: len(sequence)] = sequence
    return padded
