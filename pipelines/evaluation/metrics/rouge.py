"""ROUGE-L: the longest common subsequence of candidate and reference (Lin 2004).

    P = max over references of LCS / |candidate|
    R = max over references of LCS / |reference|
    F = (1 + β²) P R / (R + β² P),  β = 1.2

As in coco-caption the two maxima may come from different references.
https://aclanthology.org/W04-1013
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from rapidfuzz.distance import LCSseq

from pipelines.evaluation.metrics.ngrams import Tokens

_BETA = 1.2
_EMPTY = ("",)  # coco-caption splits an empty caption into one empty word


def rouge_l(
    candidates: Sequence[Tokens], references: Sequence[Sequence[Tokens]]
) -> npt.NDArray[np.float64]:
    """Compute ROUGE-L of each item as a fraction, `[items]`; the mean is the corpus score.

    Args:
        candidates: one tokenized caption per item.
        references: at least one tokenized caption per item, in the same order.
    """
    pairs = zip(candidates, references, strict=True)
    return np.array([_item(candidate, item_references) for candidate, item_references in pairs])


def _item(candidate: Tokens, references: Sequence[Tokens]) -> float:
    """Compute one item's score."""
    candidate = candidate or _EMPTY
    common = [(LCSseq.similarity(reference or _EMPTY, candidate), reference or _EMPTY)
              for reference in references]  # fmt: skip
    precision = max(length for length, _ in common) / len(candidate)
    recall = max(length / len(reference) for length, reference in common)
    if precision == 0:
        return 0.0
    return (1 + _BETA**2) * precision * recall / (recall + _BETA**2 * precision)
