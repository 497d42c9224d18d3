"""CIDEr and CIDEr-D: agreement with the consensus of the references (Vedantam et al. 2015).

With g_n(s) the vector of a caption's n-gram counts, each times its inverse document frequency
log(items / max(1, items whose references have the n-gram)), c the candidate and s_1 … s_m
its references:

    CIDEr_n   = 10/m Σ_j  g_n(c) · g_n(s_j) / (‖g_n(c)‖ ‖g_n(s_j)‖)
    CIDEr-D_n = 10/m Σ_j  exp(−(l(c) − l(s_j))² / 2σ²)
                          · min(g_n(c), g_n(s_j)) · g_n(s_j) / (‖g_n(c)‖ ‖g_n(s_j)‖)

and the score is the mean over n = 1 … 4; l counts words, σ = 6. What coco-caption prints as "CIDEr"
is CIDEr-D; as there, both variants carry the factor 10 and words are not stemmed.
https://arxiv.org/abs/1411.5726

The document frequencies come from the evaluated references: scores of a subset cannot be compared
with those of the whole, and a single item always scores 0.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from pipelines.evaluation.metrics.ngrams import NGram, Tokens, count_ngrams

Variant = Literal["CIDEr", "CIDEr-D"]
Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

_MAX_ORDER = 4
_SIGMA = 6.0


@dataclass(frozen=True)
class _Vectors:
    """The sparse vectors g_n of some captions: entry e belongs to caption `row[e]`."""

    row: Integers  # [entries]
    ngram: Integers  # [entries], id of the n-gram
    order: Integers  # [entries], n − 1
    weight: Floats  # [entries], count × inverse document frequency
    norm: Floats  # [captions, 4], 1 where the vector is zero
    length: Integers  # [captions], number of words


class CiderScorer:
    """Scores captions against references that are indexed once.

    As a reward in training, references and candidates should include their end token: without it
    CIDEr-D is high for fragments such as "a man on a".

    >>> scorer = CiderScorer([[["a", "red", "dog"]], [["two", "cats"], ["a", "cat"]]])
    >>> mean, each = scorer.score([["a", "dog"], ["two", "cats"]])
    >>> each.round(3)
    array([1.743, 2.5  ])
    """

    def __init__(self, references: Sequence[Sequence[Tokens]]) -> None:
        """Index the references: at least one tokenized caption per item.

        Raises:
            ValueError: if an item has no reference.
        """
        for position, item_references in enumerate(references):
            if not item_references:
                raise ValueError(f"every item needs a reference; item {position} has none")
        captions = [tokens for item_references in references for tokens in item_references]
        frequencies: Counter[NGram] = Counter()  # number of items with the n-gram in a reference
        for item_references in references:
            ngrams = (count_ngrams(tokens, _MAX_ORDER) for tokens in item_references)
            frequencies.update(set[NGram]().union(*ngrams))
        self._ids = {ngram: index for index, ngram in enumerate(frequencies)}
        # The last is of n-grams that no reference has.
        self._idf = np.log(len(references) / np.array([*frequencies.values(), 1.0]))

        self._references_per_item = np.array([len(of_item) for of_item in references])
        item = np.repeat(np.arange(len(references)), self._references_per_item)
        self._references = self._vectors(captions)
        # Entries in the order of (item, n-gram), so that a binary search finds a candidate's.
        key = item[self._references.row] * len(self._idf) + self._references.ngram
        self._entries = np.argsort(key, kind="stable")
        self._keys = key[self._entries]

    def score(
        self,
        candidates: Sequence[Tokens],
        items: Sequence[int] | None = None,
        variant: Variant = "CIDEr-D",
    ) -> tuple[float, Floats]:
        """Return the mean and each candidate's score `[candidates]`.

        Args:
            candidates: tokenized captions.
            items: the item whose references each candidate is compared with; by default
                one candidate per item, in order.
            variant: "CIDEr-D", or "CIDEr" with neither clipping nor length penalty.

        Raises:
            ValueError: if there is no candidate, or the number of items differs.
        """
        items = range(len(self._references_per_item)) if items is None else items
        if not candidates or len(candidates) != len(items):
            raise ValueError(f"one item per candidate: {len(candidates)} for {len(items)} items")
        item, c, s = np.asarray(items), self._vectors(candidates), self._references
        in_c, match = self._pairs(item[c.row] * len(self._idf) + c.ngram)
        in_s = self._entries[match]
        row, reference, order = c.row[in_c], s.row[in_s], c.order[in_c]

        weight, reference_weight = c.weight[in_c], s.weight[in_s]
        if variant == "CIDEr-D":
            difference = c.length[row] - s.length[reference]
            penalty = np.exp(-(difference**2) / (2 * _SIGMA**2))
            weight = np.minimum(weight, reference_weight) * penalty
        norms = c.norm[row, order] * s.norm[reference, order]
        similarity = weight * reference_weight / norms
        total = np.bincount(row, similarity, minlength=len(candidates))
        each = 10 * total / (_MAX_ORDER * self._references_per_item[item])
        return float(each.mean()), each

    def _pairs(self, keys: Integers) -> tuple[Integers, Integers]:
        """Return all `i` and `j` for which `keys[i] == self._keys[j]`, each `[pairs]`."""
        first = np.searchsorted(self._keys, keys, side="left")
        matches = np.searchsorted(self._keys, keys, side="right") - first
        left = np.repeat(np.arange(len(keys)), matches)
        nth_match = np.arange(len(left)) - np.repeat(np.cumsum(matches) - matches, matches)
        return left, first[left] + nth_match

    def _vectors(self, captions: Sequence[Tokens]) -> _Vectors:
        """Return the captions' vectors."""
        ngrams, orders, counts, sizes = array("q"), array("q"), array("d"), array("q")
        unseen = len(self._idf) - 1
        for tokens in captions:
            counted = count_ngrams(tokens, _MAX_ORDER)
            ngrams.extend([self._ids.get(ngram, unseen) for ngram in counted])
            orders.extend([len(ngram) - 1 for ngram in counted])
            counts.extend(counted.values())
            sizes.append(len(counted))
        row = np.repeat(np.arange(len(captions)), np.array(sizes))
        ngram, order = np.array(ngrams), np.array(orders)
        weight = np.array(counts) * self._idf[ngram]
        square = np.bincount(
            row * _MAX_ORDER + order, weight**2, minlength=len(captions) * _MAX_ORDER
        )
        norm = np.sqrt(square).reshape(-1, _MAX_ORDER)
        length = np.array([len(tokens) for tokens in captions])
        return _Vectors(row, ngram, order, weight, np.where(norm == 0, 1.0, norm), length)
