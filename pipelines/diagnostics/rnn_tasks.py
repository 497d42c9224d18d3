"""The tasks by which recurrent networks have been compared since 1997, each at several lengths.

In each, what the answer needs lies far back, so that a gradient has to come through all steps:

- adding (Hochreiter & Schmidhuber 1997): two of T numbers are marked; say their sum.
- copying (Hochreiter & Schmidhuber 1997; Arjovsky, Shah & Bengio 2016): remember some symbols over
  T blank steps, then say them.
- digits (Le, Jaitly & Hinton 2015, there MNIST): a hand-written digit comes a few pixels a step.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping

import numpy as np

from data.builtin.digits import LEVELS, read_digits

SYMBOLS, ALPHABET = 5, 8  # of copying: how many to remember, out of how many
Batch = tuple[np.ndarray, np.ndarray]


@dataclasses.dataclass(frozen=True)
class ClassicTask:
    """A task that has a length.

    Attributes:
        name: as on the command line.
        summary: what is asked.
        lengths: what is tried if nothing else is asked for.
        asks: the last so many steps at which an answer is wanted.
        outputs: numbers said at each of them: one, or one a class.
        make: `(rng, examples, length, held_out)` → inputs float32 `[examples, steps, depth]` and
            targets `[examples, asks]`, float32 sums or int32 classes.
        measure: "error" (mean squared, the lower the better) or "accuracy".
        solved: the score from which on the task counts as solved.
        blind: the score of always saying the same.
        published: results of others, with where they stand.
    """

    name: str
    summary: str
    lengths: tuple[int, ...]
    asks: int
    outputs: int
    make: Callable[[np.random.Generator, int, int, bool], Batch]
    measure: str
    solved: float
    blind: float
    published: Mapping[str, str]

    def is_solved(self, score: float) -> bool:
        """Say whether a score will do."""
        return score <= self.solved if self.measure == "error" else score >= self.solved


def adding(rng: np.random.Generator, examples: int, length: int, held_out: bool) -> Batch:
    """Make sums: each step has a number in [0, 1) and a mark, which two steps bear.

    >>> inputs, sums = adding(np.random.default_rng(0), 3, 6, False)
    >>> inputs.shape, bool(np.allclose((inputs[..., 0] * inputs[..., 1]).sum(1), sums[:, 0]))
    ((3, 6, 2), True)
    """
    del held_out  # what is drawn anew is never met twice
    numbers = rng.random((examples, length), np.float32)
    marks = np.zeros_like(numbers)
    rows, half = np.arange(examples), length // 2
    marks[rows, rng.integers(0, half, examples)] = 1  # one in each half
    marks[rows, rng.integers(half, length, examples)] = 1
    sums = (numbers * marks).sum(axis=1, keepdims=True)
    return np.stack([numbers, marks], axis=-1), sums


def copying(rng: np.random.Generator, examples: int, length: int, held_out: bool) -> Batch:
    """Make `SYMBOLS` symbols, `length` blanks, and as many signs to speak, one-hot.

    >>> inputs, symbols = copying(np.random.default_rng(0), 2, 4, False)
    >>> inputs.shape, bool((inputs[:, :SYMBOLS].argmax(-1) == symbols).all())
    ((2, 14, 10), True)
    """
    del held_out
    blank, speak = ALPHABET, ALPHABET + 1
    symbols = rng.integers(0, ALPHABET, (examples, SYMBOLS)).astype(np.int32)
    waiting = np.full((examples, length), blank, np.int32)
    asking = np.full((examples, SYMBOLS), speak, np.int32)
    rows = np.concatenate([symbols, waiting, asking], axis=1)
    return np.eye(ALPHABET + 2, dtype=np.float32)[rows], symbols


def digits(rng: np.random.Generator, examples: int, length: int, held_out: bool) -> Batch:
    """Draw hand-written digits, row by row, 64 / `length` pixels a step, from 0 to 1.

    >>> inputs, labels = digits(np.random.default_rng(0), 2, 64, False)
    >>> inputs.shape, labels.shape
    ((2, 64, 1), (2, 1))
    """
    pixels, labels = _digits()[held_out]
    chosen = rng.permutation(len(labels))[:examples]
    return pixels[chosen].reshape(len(chosen), length, -1), labels[chosen, np.newaxis]


@functools.cache
def _digits() -> list[Batch]:
    """Return what is learned from, and what is held out."""
    splits = read_digits()
    return [
        (
            (splits[name].pixels / np.float32(LEVELS)).astype(np.float32),
            splits[name].labels.astype(np.int32),
        )
        for name in ("train", "test")
    ]


BAI = "Bai, Kolter & Koltun 2018, table 1"
CLASSIC_TASKS = {
    task.name: task
    for task in (
        ClassicTask(
            "adding",
            "the sum of two marked numbers out of T",
            lengths=(10, 30, 100),
            asks=1,
            outputs=1,
            make=adding,
            measure="error",
            solved=0.01,
            blind=1 / 6,
            published={
                f"T = 600, mean squared error ({BAI})": "RNN .177, LSTM .164, GRU 5.3e-5",
            },
        ),
        ClassicTask(
            "copying",
            f"{SYMBOLS} symbols out of {ALPHABET}, said after T blank steps",
            lengths=(5, 20, 60),
            asks=SYMBOLS,
            outputs=ALPHABET,
            make=copying,
            measure="accuracy",
            solved=0.99,
            blind=1 / ALPHABET,
            published={
                f"10 symbols, T = 1000, cross-entropy ({BAI})": "RNN .0202, LSTM .0204, GRU .0197; "
                "saying nothing but blanks has .0204",
            },
        ),
        ClassicTask(
            "digits",
            "a hand-written digit of 8 × 8 pixels in T steps of 64 / T pixels",
            lengths=(8, 16, 64),
            asks=1,
            outputs=10,
            make=digits,
            measure="accuracy",
            solved=0.9,
            blind=0.1,
            published={
                f"MNIST, 784 steps, accuracy ({BAI})": "RNN 21.5 %, LSTM 87.2 %, GRU 96.2 %",
            },
        ),
    )
}
