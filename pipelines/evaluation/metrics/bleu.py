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

from pipelines.evaluation.metrics.ngrams import NGram, Tokens, count_ngrams

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
        for n, count in enumerate(_matched(candidate, item_references, longest)):
            matched[n] += count
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


def sentence_bleu(candidate: Tokens, references: Sequence[Tokens], added: float = 0.1) -> float:
    """Return BLEU-4 of one caption as a fraction, with `added` to all counts of n-grams.

    A caption mostly shares no four words with its references, and BLEU-4 would be 0 for good and
    bad alike (Lin & Och 2004, "ORANGE", add 1 for the same reason). A reward, not for reports.

    >>> round(sentence_bleu("a red dog runs".split(), ["a dog runs".split()]), 3)
    0.185
    """
    logs = [
        math.log((count + added) / (max(1, len(candidate) - n) + added))
        for n, count in enumerate(_matched(candidate, references, 4))
    ]
    closest = _closest(len(candidate), map(len, references))
    return math.exp(sum(logs) / 4 + min(0.0, 1 - closest / max(1, len(candidate))))


def _matched(candidate: Tokens, references: Sequence[Tokens], longest: int) -> list[int]:
    """Count the candidate's n-grams of 1 to `longest` words that stand in a reference."""
    ceiling: Counter[NGram] = Counter()
    for reference in references:
        ceiling |= count_ngrams(reference, longest)
    matched = [0] * longest
    for ngram, count in (count_ngrams(candidate, longest) & ceiling).items():
        matched[len(ngram) - 1] += count
    return matched


def _closest(length: int, lengths: Iterable[int]) -> int:
    """Return the one of `lengths` nearest to `length`, the shorter of two."""
    return min(lengths, key=lambda other: (abs(other - length), other))
