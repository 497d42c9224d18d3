"""ROUGE-L: the longest common subsequence of candidate and reference (Lin 2004).

    P = max over references of LCS / |candidate|
    R = max over references of LCS / |reference|
    F = (1 + β²) P R / (R + β² P),  β = 1.2

As in coco-caption the two maxima may come from different references.
https://aclanthology.org/W04-1013
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
import numpy.typing as npt

from pipelines.evaluation.metrics.ngrams import Tokens

_BETA = 1.2
_NOTHING = ("",)  # coco-caption splits an empty caption into one empty word


def rouge_l(
    candidates: Sequence[Tokens], references: Sequence[Sequence[Tokens]]
) -> npt.NDArray[np.float64]:
    """Return each item's ROUGE-L as a fraction `[items]`; their mean is the corpus score.

    Args:
        candidates: one tokenised caption per item.
        references: at least one tokenised caption per item, in the same order.
    """
    pairs = zip(candidates, references, strict=True)
    return np.array([_item(candidate, item_references) for candidate, item_references in pairs])


def _item(candidate: Tokens, references: Sequence[Tokens]) -> float:
    """Return one item's score."""
    candidate = candidate or _NOTHING
    common = [(lcs_length(reference or _NOTHING, candidate), reference) for reference in references]
    precision = max(length / len(candidate) for length, _ in common)
    recall = max(length / len(reference or _NOTHING) for length, reference in common)
    if precision == 0:
        return 0.0
    return (1 + _BETA**2) * precision * recall / (recall + _BETA**2 * precision)


def lcs_length(a: Tokens, b: Tokens) -> int:
    """Return the length of the longest common subsequence.

    One row of the usual table is kept as the bits of an integer, 0 where the length grows from
    one column to the next (Hyyrö 2004, "Bit-parallel LCS-length computation revisited").

    >>> lcs_length("the cat sat down".split(), "the dog sat".split())
    2
    """
    places: dict[Hashable, int] = {}
    for index, token in enumerate(a):
        places[token] = places.get(token, 0) | 1 << index
    all_ones = (1 << len(a)) - 1
    row = all_ones
    for token in b:
        matches = row & places.get(token, 0)
        row = (row + matches | row - matches) & all_ones
    return len(a) - row.bit_count()
