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
from collections.abc import Callable, Mapping

import numpy as np

from data.builtin.digits import LEVELS, read_digits

SYMBOLS, ALPHABET = 5, 8  # copying: number of symbols, size of their alphabet
Batch = tuple[np.ndarray, np.ndarray]


@dataclasses.dataclass(frozen=True)
class RNNTask:
    """A task with a variable length T.

    Attributes:
        name: name on the command line.
        summary: description.
        lengths: default lengths.
        answer_steps: number of steps at the end with an output.
        outputs: dimensions of each output: 1, or the number of classes.
        make: `(rng, examples, length, held_out)` → inputs float32 `[examples, steps, depth]` and
            targets `[examples, answer_steps]`, float32 sums or int32 classes.
        metric: "error" (mean squared, lower is better) or "accuracy".
        solved: threshold of the score for a solved task.
        constant_score: score of the best constant prediction.
        published: published results with their source.
    """

    name: str
    summary: str
    lengths: tuple[int, ...]
    answer_steps: int
    outputs: int
    make: Callable[[np.random.Generator, int, int, bool], Batch]
    metric: str
    solved: float
    constant_score: float
    published: Mapping[str, str]

    def is_solved(self, score: float) -> bool:
        """Return whether a score solves the task."""
        return score <= self.solved if self.metric == "error" else score >= self.solved


def adding(rng: np.random.Generator, examples: int, length: int, held_out: bool) -> Batch:
    """Generate the adding task: each step has a number in [0, 1) and a mark, 1 at two steps.

    >>> inputs, sums = adding(np.random.default_rng(0), 3, 6, False)
    >>> inputs.shape, bool(np.allclose((inputs[..., 0] * inputs[..., 1]).sum(1), sums[:, 0]))
    ((3, 6, 2), True)
    """
    del held_out  # generated examples do not repeat
    numbers = rng.random((examples, length), np.float32)
    marks = np.zeros_like(numbers)
    rows, half = np.arange(examples), length // 2
    marks[rows, rng.integers(0, half, examples)] = 1  # one in each half
    marks[rows, rng.integers(half, length, examples)] = 1
    sums = (numbers * marks).sum(axis=1, keepdims=True)
    return np.stack([numbers, marks], axis=-1), sums


def copying(rng: np.random.Generator, examples: int, length: int, held_out: bool) -> Batch:
    """Generate the copying task: symbols, `length` blanks, a signal per symbol to output; one-hot.

    >>> inputs, symbols = copying(np.random.default_rng(0), 2, 4, False)
    >>> inputs.shape, bool((inputs[:, :SYMBOLS].argmax(-1) == symbols).all())
    ((2, 14, 10), True)
    """
    del held_out
    blank, signal = ALPHABET, ALPHABET + 1
    symbols = rng.integers(0, ALPHABET, (examples, SYMBOLS)).astype(np.int32)
    blanks = np.full((examples, length), blank, np.int32)
    signals = np.full((examples, SYMBOLS), signal, np.int32)
    rows = np.concatenate([symbols, blanks, signals], axis=1)
    return np.eye(ALPHABET + 2, dtype=np.float32)[rows], symbols


def digits(rng: np.random.Generator, examples: int, length: int, held_out: bool) -> Batch:
    """Sample handwritten digits, row by row, 64 / `length` pixels per step, from 0 to 1.

    >>> inputs, labels = digits(np.random.default_rng(0), 2, 64, False)
    >>> inputs.shape, labels.shape
    ((2, 64, 1), (2, 1))
    """
    pixels, labels = _digits()[held_out]
    chosen = rng.permutation(len(labels))[:examples]
    return pixels[chosen].reshape(len(chosen), length, -1), labels[chosen, np.newaxis]


@functools.cache
def _digits() -> list[Batch]:
    """Return the training and the held-out digits."""
    splits = read_digits()
    return [
        (
            (splits[name].pixels / np.float32(LEVELS)).astype(np.float32),
            splits[name].labels.astype(np.int32),
        )
        for name in ("train", "test")
    ]


BAI = "Bai, Kolter & Koltun 2018, table 1"
RNN_TASKS = {
    task.name: task
    for task in (
        RNNTask(
            "adding",
            "the sum of two marked numbers out of T",
            lengths=(10, 30, 100),
            answer_steps=1,
            outputs=1,
            make=adding,
            metric="error",
            solved=0.01,
            constant_score=1 / 6,
            published={
                f"T = 600, mean squared error ({BAI})": "RNN .177, LSTM .164, GRU 5.3e-5",
            },
        ),
        RNNTask(
            "copying",
            f"{SYMBOLS} symbols out of {ALPHABET}, reproduced after T blank steps",
            lengths=(5, 20, 60),
            answer_steps=SYMBOLS,
            outputs=ALPHABET,
            make=copying,
            metric="accuracy",
            solved=0.99,
            constant_score=1 / ALPHABET,
            published={
                f"10 symbols, T = 1000, cross-entropy ({BAI})": "RNN .0202, LSTM .0204, GRU .0197; "
                "predicting only blanks: .0204",
            },
        ),
        RNNTask(
            "digits",
            "a handwritten digit of 8 × 8 pixels in T steps of 64 / T pixels",
            lengths=(8, 16, 64),
            answer_steps=1,
            outputs=10,
            make=digits,
            metric="accuracy",
            solved=0.9,
            constant_score=0.1,
            published={
                f"MNIST, 784 steps, accuracy ({BAI})": "RNN 21.5 %, LSTM 87.2 %, GRU 96.2 %",
            },
        ),
    )
}
