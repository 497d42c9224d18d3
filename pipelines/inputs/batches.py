"""Training batches, in an order that is a function of the seed.

The order of an epoch depends on (seed, epoch) alone, so an interrupted run resumes in the middle
of an epoch without reading the batches that are done.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Generic, TypeVar

import numpy as np
import tensorflow as tf

from data.media.vocabulary import Vocabulary
from data.media.words import tokenize_with_spaces
from models.memory import Tensors
from pipelines.inputs.tables import Table, pad

Output = TypeVar("Output")

FEW_WORDS = 1.5  # on average: texts may not be divided into words
POOL = 50  # batches sorted by length together: little padding, and a new order each epoch

# The inputs of a model and the targets of its head.
Batch = tuple[Tensors, Tensors]


@dataclasses.dataclass(frozen=True)
class Captions:
    """Every caption of a split as word ids, and the table row of its input."""

    tokens: Sequence[np.ndarray]  # int32 `[START, words…, END]`
    rows: np.ndarray  # int64 `[captions]`, positions in the table

    @classmethod
    def encode(
        cls,
        examples: Sequence[tuple[str, Sequence[str]]],
        vocabulary: Vocabulary,
        positions: dict[str, int],
        max_words: int,
    ) -> Captions:
        """Encode `(id, captions)` pairs."""
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
        per_row: int = 0,
        input_lengths: Sequence[int] | None = None,
    ) -> list[np.ndarray]:
        """Return the caption numbers of each batch of an epoch; at most one batch is smaller.

        Args:
            batch_size: captions in a batch.
            seed: of the run.
            epoch: counted from 0.
            per_row: 0 sorts captions by length, see `batches_by_length`; otherwise rows are
                shuffled, and up to `per_row` captions of a row are adjacent.
            input_lengths: of each table row, added when sorting.
        """
        rng = np.random.default_rng([seed, epoch])
        if per_row:
            visit = self._number_within_row(rng) // per_row
            rank = rng.random((visit.max() + 1, self.rows.max() + 1))[visit, self.rows]
            order = np.lexsort((rank, visit))
            return [order[i : i + batch_size] for i in range(0, len(order), batch_size)]
        lengths = np.array([len(tokens) for tokens in self.tokens])
        if input_lengths is not None:
            lengths += np.array(input_lengths)[self.rows]
        return batches_by_length(lengths.tolist(), batch_size, rng)

    def _number_within_row(self, rng: np.random.Generator) -> np.ndarray:
        """Number the captions of each row from 0 in a random order: int64 `[captions]`."""
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


def caption_batches(
    captions: Captions,
    table: Table,
    batch_size: int,
    *,
    per_row: int,
    seed: int,
    epoch: int,
    skip: int = 0,
) -> tf.data.Dataset:
    """Return an epoch's batches of captions from number `skip` on: see `Captions.batches`.

    While the backbone is fine-tuned, batches should be random (`per_row`): its batch norms would
    otherwise see only images whose captions have the same length.

    Returns:
        Batches `(rows, (tokens, example_index))`: what `table.read` returns; int32
        `[captions, time]`, padded with PAD; and int32 `[captions]`, the row of each caption.
    """

    def select(chosen: np.ndarray) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray]]:
        rows = captions.rows[chosen]
        example_index = np.arange(len(rows))
        if per_row:
            rows, example_index = np.unique(rows, return_inverse=True)
        tokens = pad([captions.tokens[i] for i in chosen])
        return rows, (tokens, example_index.astype(np.int32))

    batches = captions.batches(
        batch_size, seed, epoch, per_row=per_row, input_lengths=table.lengths
    )
    spec = tf.TensorSpec([None, None], tf.int32), tf.TensorSpec([None], tf.int32)
    return read_batches(table, batches, select, spec, seed=seed, epoch=epoch, skip=skip)


def read_batches(
    table: Table,
    batches: Sequence[np.ndarray],
    select: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray | tuple[np.ndarray, ...]]],
    target_spec: tf.TensorSpec | tuple[tf.TensorSpec, ...],
    *,
    seed: int,
    epoch: int,
    skip: int,
) -> tf.data.Dataset:
    """Read batches from number `skip` on; augmentation depends on (seed, epoch, number) alone.

    `batches` are example numbers; `select` maps them to rows of the table and targets of
    `target_spec`.
    """

    def generate() -> Iterator[tuple[object, object]]:
        for number in range(skip, len(batches)):
            rows, targets = select(batches[number])
            rng = np.random.default_rng([seed, epoch, number])
            yield table.read(rows, rng), targets

    dataset = tf.data.Dataset.from_generator(generate, output_signature=(table.spec, target_spec))
    return dataset.prefetch(4)


class Timed(Generic[Output]):
    """Yields batches and measures how many `seconds` the consumer waits for them.

    The first batch does not count, because everything starts then.
    """

    def __init__(
        self, batches: Iterable[Output], clock: Callable[[], float] = time.perf_counter
    ) -> None:
        """Measure with `clock`, in seconds."""
        self.batches, self.clock, self.seconds = batches, clock, 0.0

    def __iter__(self) -> Iterator[Output]:
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


def compile_by_rank(function: Callable[..., Output]) -> Callable[..., Output]:
    """Compile a function of a nest of arrays, one graph for each combination of ranks.

    One graph for both features `[batch, cells, depth]` and feature maps `[batch, height, width,
    channels]` would know the shape of neither.
    """

    @functools.cache
    def compiled(ranks: tuple[int, ...]) -> Callable[..., Output]:
        del ranks
        compiled: Callable[..., Output] = tf.function(
            function, reduce_retracing=True, autograph=False
        )
        return compiled

    return lambda inputs: compiled(tuple(map(np.ndim, tf.nest.flatten(inputs))))(inputs)


def note_lengths(
    texts: Sequence[str], vocabulary: Vocabulary, max_words: int, what: str
) -> list[str]:
    """Print what is unusual about the number of words of some texts; return the lines."""
    lengths = [len(tokenize_with_spaces(text, vocabulary.punctuation)) for text in texts]
    long = [length for length in lengths if length > max_words]
    notes = []
    if long:
        notes.append(
            f"{len(long):,} of {len(texts):,} {what} have more than {max_words} words, the longest "
            f"{max(long):,}; the rest of each is cut: see --max-words"
        )
    if lengths and sum(lengths) < FEW_WORDS * len(lengths):
        notes.append(
            f"{what} have {sum(lengths) / len(lengths):.1f} words on average: if they should have "
            "more, check that there are spaces between words"
        )
    print(*notes, sep="\n", end="\n" if notes else "")
    return notes
