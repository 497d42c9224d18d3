"""The n-gram counts of BLEU and CIDEr."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence

Tokens = Sequence[Hashable]  # words, or word ids: scorers only compare them
NGram = tuple[Hashable, ...]


def count_ngrams(tokens: Tokens, max_order: int = 4) -> Counter[NGram]:
    """Count the n-grams of 1 to `max_order` tokens.

    >>> count_ngrams(["a", "b", "a"], max_order=2)
    Counter({('a',): 2, ('b',): 1, ('a', 'b'): 1, ('b', 'a'): 1})

    Raises:
        TypeError: for a sentence that is not split into tokens.
    """
    if isinstance(tokens, str):
        raise TypeError(f"expected a list of tokens, not the string {tokens[:40]!r}")
    words = tuple(tokens)
    lengths = range(1, max_order + 1)
    return Counter([words[i : i + n] for n in lengths for i in range(len(words) - n + 1)])
