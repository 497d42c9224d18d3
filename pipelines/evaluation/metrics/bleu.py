"""BLEU: the share of candidate n-grams that occur in a reference (Papineni et al. 2002).

    p_n    = Σ clipped counts of n-grams / Σ n-grams in candidates
    BP     = min(1, exp(1 − r / c))
    BLEU-n = BP · (p_1 · … · p_n)^(1/n)

The sums run over the whole corpus; a count is clipped at its highest count in any one reference;
c is the total length of the candidates and r the total of the closest reference lengths (the
shorter of two equally close). https://aclanthology.org/P02-1040
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from sacrebleu.metrics.bleu import BLEU

from pipelines.evaluation.metrics.ngrams import NGram, Tokens, count_ngrams

# coco-caption's guards against 0 / 0, so that scores agree to the last digit.
_TINY, _SMALL = 1e-15, 1e-9


def bleu(
    candidates: Sequence[Sequence[str]],
    references: Sequence[Sequence[Sequence[str]]],
    max_order: int = 4,
) -> tuple[float, ...]:
    """Compute corpus BLEU-1 to BLEU-`max_order` as fractions.

    sacreBLEU counts; the formula with its guards is coco-caption's.

    Args:
        candidates: one tokenized caption per item.
        references: at least one tokenized caption per item, in the same order.
        max_order: the longest n-gram.
    """
    return tuple(float(each) for each in bleu_of(_count(candidates, references, max_order)))


def bleu_of(counts: np.ndarray) -> list[np.ndarray]:
    """Compute BLEU-1 to BLEU-n from counts, `[..., 2 + 2 n]`: lengths, matches, totals."""
    length, reference_length, *others = np.moveaxis(np.asarray(counts, np.float64), -1, 0)
    orders = len(others) // 2
    ratio = (length + _TINY) / (reference_length + _SMALL)
    brevity_penalty = np.exp(np.minimum(0.0, 1 - 1 / ratio))
    scores, product = [], np.ones_like(length)
    for n in range(1, orders + 1):
        product = product * (others[n - 1] + _TINY) / (others[orders + n - 1] + _SMALL)
        scores.append(brevity_penalty * product ** (1 / n))
    return scores


def count_items(
    candidates: Sequence[Sequence[str]], references: Sequence[Sequence[Sequence[str]]]
) -> np.ndarray:
    """Return the counts of each item for `bleu_of`, int `[items, 10]`; they can be added."""
    pairs = zip(candidates, references, strict=True)
    return np.stack([_count([candidate], [texts]) for candidate, texts in pairs])


def _count(
    candidates: Sequence[Sequence[str]],
    references: Sequence[Sequence[Sequence[str]]],
    max_order: int = 4,
) -> np.ndarray:
    metric = BLEU(tokenize="none", smooth_method="none", max_ngram_order=max_order, force=True)
    texts = [[" ".join(tokens) for tokens in item] for item in references]
    found = metric.corpus_score(
        [" ".join(tokens) for tokens in candidates], reference_streams(texts)
    )
    return np.array([found.sys_len, found.ref_len, *found.counts, *found.totals])


def reference_streams(references: Sequence[Sequence[str]]) -> list[list[Any]]:
    """Transpose references per item into sacreBLEU's streams; None where an item has fewer.

    sacreBLEU accepts None, but its type hints do not: hence Any.

    >>> reference_streams([["a", "b"], ["c"]])
    [['a', 'c'], ['b', None]]
    """
    return [list(stream) for stream in itertools.zip_longest(*references)]


def sentence_bleu(candidate: Tokens, references: Sequence[Tokens], added: float = 0.1) -> float:
    """Compute BLEU-4 of one caption as a fraction, with `added` to all n-gram counts.

    Most captions share no four words with their references: without smoothing BLEU-4 is 0 for
    good and bad ones alike (Lin & Och 2004, "ORANGE", add 1). A training reward, not for reports:
    it takes word ids and is called for every sampled caption, which is too often for sacreBLEU.

    >>> round(sentence_bleu("a red dog runs".split(), ["a dog runs".split()]), 3)
    0.185
    """
    ceiling: Counter[NGram] = Counter()
    for reference in references:
        ceiling |= count_ngrams(reference)
    matched = [0] * 4
    for ngram, count in (count_ngrams(candidate) & ceiling).items():
        matched[len(ngram) - 1] += count
    length = len(candidate)
    logs = [
        math.log((count + added) / (max(1, length - n) + added)) for n, count in enumerate(matched)
    ]
    closest = min(map(len, references), key=lambda other: (abs(other - length), other))
    return math.exp(sum(logs) / 4 + min(0.0, 1 - closest / max(1, length)))
