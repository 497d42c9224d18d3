"""Classic tasks for the comparison of recurrent networks, each at several lengths.

The relevant inputs are many steps before the answer, so that the gradient must pass all steps:

- adding (Hochreiter & Schmidhuber 1997): predict the sum of two marked numbers out of T.
- copying (Hochreiter & Schmidhuber 1997; Arjovsky, Shah & Bengio 2016): reproduce symbols after
  T blank steps.
- digits (Le, Jaitly & Hinton 2015, there MNIST): classify a handwritten digit
  whose pixels are presented in T steps.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable

import numpy as np

from data.builtin.digits import LEVELS, read_digits

SYMBOLS, ALPHABET = 5, 8  # copying: number of symbols, size of their alphabet
Batch = tuple[np.ndarray, np.ndarray]
_read_digits = functools.cache(read_digits)


@dataclasses.dataclass(frozen=True)
class RNNTask:
    """A task with a variable length T."""

    summary: str
    lengths: tuple[int, ...]  # by default
    answer_steps: int  # number of steps at the end with an output
    outputs: int  # dimensions of each output: 1, or the number of classes
    # (rng, examples, length, held_out) → inputs float32 `[examples, steps, depth]` and targets
    # `[examples, answer_steps]`, float32 sums or int32 classes.
    make: Callable[[np.random.Generator, int, int, bool], Batch]
    metric: str  # "error" (mean squared, lower is better) or "accuracy"
    solved: float  # threshold of the score for a solved task
    constant_score: float  # of the best constant prediction
    published: str  # a published result with its source

    def is_solved(self, score: float) -> bool:
        """Return whether a score solves the task."""
        return score <= self.solved if self.metric == "error" else score >= self.solved


def _adding(rng: np.random.Generator, examples: int, length: int, held_out: bool) -> Batch:
    """Generate the adding task: each step has a number in [0, 1) and a mark, 1 at two steps."""
    del held_out  # generated examples do not repeat
    numbers = rng.random((examples, length), np.float32)
    marks = np.zeros_like(numbers)
    rows, half = np.arange(examples), length // 2
    marks[rows, rng.integers(0, half, examples)] = 1  # one in each half
    marks[rows, rng.integers(half, length, examples)] = 1
    sums = (numbers * marks).sum(axis=1, keepdims=True)
    return np.stack([numbers, marks], axis=-1), sums


def _copying(rng: np.random.Generator, examples: int, length: int, held_out: bool) -> Batch:
    """Generate the copying task: symbols, `length` blanks, a signal per symbol; one-hot."""
    del held_out
    blank, signal = ALPHABET, ALPHABET + 1
    symbols = rng.integers(0, ALPHABET, (examples, SYMBOLS)).astype(np.int32)
    blanks = np.full((examples, length), blank, np.int32)
    signals = np.full((examples, SYMBOLS), signal, np.int32)
    rows = np.concatenate([symbols, blanks, signals], axis=1)
    return np.eye(ALPHABET + 2, dtype=np.float32)[rows], symbols


def _digits(rng: np.random.Generator, examples: int, length: int, held_out: bool) -> Batch:
    """Sample handwritten digits, row by row, 64 / `length` pixels per step, from 0 to 1."""
    split = _read_digits()["test" if held_out else "train"]
    chosen = rng.permutation(len(split.labels))[:examples]
    pixels = (split.pixels[chosen] / np.float32(LEVELS)).astype(np.float32)
    labels = split.labels[chosen, np.newaxis].astype(np.int32)
    return pixels.reshape(len(chosen), length, -1), labels


_BAI = "Bai, Kolter & Koltun 2018, table 1"
RNN_TASKS = {
    "adding": RNNTask(
        "the sum of two marked numbers out of T",
        lengths=(10, 30, 100),
        answer_steps=1,
        outputs=1,
        make=_adding,
        metric="error",
        solved=0.01,
        constant_score=1 / 6,
        published=f"T = 600, mean squared error ({_BAI}): RNN .177, LSTM .164, GRU 5.3e-5",
    ),
    "copying": RNNTask(
        f"{SYMBOLS} symbols out of {ALPHABET}, reproduced after T blank steps",
        lengths=(5, 20, 60),
        answer_steps=SYMBOLS,
        outputs=ALPHABET,
        make=_copying,
        metric="accuracy",
        solved=0.99,
        constant_score=1 / ALPHABET,
        published=f"10 symbols, T = 1000, cross-entropy ({_BAI}): RNN .0202, LSTM .0204, "
        "GRU .0197; predicting only blanks: .0204",
    ),
    "digits": RNNTask(
        "a handwritten digit of 8 × 8 pixels in T steps of 64 / T pixels",
        lengths=(8, 16, 64),
        answer_steps=1,
        outputs=10,
        make=_digits,
        metric="accuracy",
        solved=0.9,
        constant_score=0.1,
        published=f"MNIST, 784 steps, accuracy ({_BAI}): RNN 21.5 %, LSTM 87.2 %, GRU 96.2 %",
    ),
}
