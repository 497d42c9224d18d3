"""Word error rate, for sentences of which only one is right: lip reading, speech."""

from __future__ import annotations

from collections.abc import Sequence

from pipelines.evaluation.metrics.ngrams import Tokens


def word_error_rate(captions: Sequence[Tokens], truths: Sequence[Tokens]) -> float:
    """Return the words to insert, delete or replace, per true word; above 1 it can be, too.

    >>> word_error_rate([["bin", "blue", "at", "f"]], [["bin", "red", "at", "f", "two"]])
    0.4
    """
    errors = sum(map(distance, captions, truths))
    return errors / max(1, sum(map(len, truths)))


def distance(said: Tokens, true: Tokens) -> int:
    """Return the fewest words to insert, delete or replace (Levenshtein 1966).

    >>> distance(["a", "red", "dog"], ["red", "dogs", "run"])
    3
    """
    row = list(range(len(true) + 1))
    for number, word in enumerate(said, 1):
        corner, row[0] = row[0], number
        for place, other in enumerate(true, 1):
            best = min(row[place] + 1, row[place - 1] + 1, corner + (word != other))
            corner, row[place] = row[place], best
    return row[-1]


def slot_accuracies(captions: Sequence[Tokens], truths: Sequence[Tokens]) -> list[float]:
    """Return the share of right words at each place, where all true sentences are as long.

    >>> slot_accuracies([["a", "c"], ["a"]], [["a", "b"], ["a", "c"]])
    [1.0, 0.0]
    >>> slot_accuracies([["a"], ["a"]], [["a"], ["a", "b"]])
    []
    """
    if len({len(true) for true in truths}) != 1:
        return []
    pairs = list(zip(captions, truths, strict=True))
    return [
        sum(said[place : place + 1] == [true[place]] for said, true in pairs) / len(pairs)
        for place in range(len(truths[0]))
    ]
