"""Word error rate, for tasks with one correct sentence: lip reading, speech recognition."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from rapidfuzz.distance import Levenshtein

from pipelines.evaluation.metrics.ngrams import Tokens


def word_error_rate(captions: Sequence[Tokens], references: Sequence[Tokens]) -> float:
    """Compute the insertions, deletions and substitutions per reference word; it can exceed 1.

    >>> word_error_rate([["bin", "blue", "at", "f"]], [["bin", "red", "at", "f", "two"]])
    0.4
    """
    errors, words = word_errors(captions, references).sum(axis=0).tolist()
    return float(errors / max(1, words))


def word_errors(captions: Sequence[Tokens], references: Sequence[Tokens]) -> np.ndarray:
    """Return the errors and the reference words of each item, int `[items, 2]`."""
    errors = map(Levenshtein.distance, captions, references)
    return np.array(list(zip(errors, map(len, references), strict=True)))


def position_accuracies(captions: Sequence[Tokens], references: Sequence[Tokens]) -> list[float]:
    """Compute the share of correct words at each position, if all references have one length.

    >>> position_accuracies([["a", "c"], ["a"]], [["a", "b"], ["a", "c"]])
    [1.0, 0.0]
    >>> position_accuracies([["a"], ["a"]], [["a"], ["a", "b"]])
    []
    """
    if len(set(map(len, references))) != 1:
        return []
    pairs = list(zip(captions, references, strict=True))
    return [
        sum(caption[place : place + 1] == [reference[place]] for caption, reference in pairs)
        / len(pairs)
        for place in range(len(references[0]))
    ]
