"""BLEU: how many of the candidates' n-grams stand in a reference (Papineni et al. 2002).

    p_n    = Σ clipped counts of n-grams / Σ n-grams in candidates
    BP     = min(1, exp(1 − r / c))
    BLEU-n = BP · (p_1 · … · p_n)^(1/n)

Sums run over the whole corpus; a count is clipped at its highest in any one reference; c is the
candidates' total length and r the total of each one's closest reference length (the shorter of
two equally close). https://aclanthology.org/P02-1040
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence

from pipelines.metrics.ngrams import NGram, Tokens, count_ngrams

# coco-caption's guards against 0 / 0, so that its figures come out to the last digit.
_TINY, _SMALL = 1e-15, 1e-9


def bleu(
    candidates: Sequence[Tokens], references: Sequence[Sequence[Tokens]], longest: int = 4
) -> tuple[float, ...]:
    """Return corpus BLEU-1 to BLEU-`longest` as fractions.

    Args:
        candidates: one tokenised caption per item.
        references: at least one tokenised caption per item, in the same order.
        longest: the longest n-gram.
    """
    matched, possible = [0] * longest, [0] * longest
    candidate_length = reference_length = 0
    for candidate, item_references in zip(candidates, references, strict=True):
        ceiling: Counter[NGram] = Counter()
        for reference in item_references:
            ceiling |= count_ngrams(reference, longest)
        for ngram, count in (count_ngrams(candidate, longest) & ceiling).items():
            matched[len(ngram) - 1] += count
        for n in range(longest):
            possible[n] += max(0, len(candidate) - n)
        candidate_length += len(candidate)
        reference_length += _closest(len(candidate), map(len, item_references))
    ratio = (candidate_length + _TINY) / (reference_length + _SMALL)
    brevity_penalty = math.exp(min(0.0, 1 - 1 / ratio))
    scores, product = [], 1.0
    for n in range(longest):
        product *= (matched[n] + _TINY) / (possible[n] + _SMALL)
        scores.append(brevity_penalty * product ** (1 / (n + 1)))
    return tuple(scores)


def _closest(length: int, lengths: Iterable[int]) -> int:
    """Return the one of `lengths` nearest to `length`, the shorter of two."""
    return min(lengths, key=lambda other: (abs(other - length), other))
