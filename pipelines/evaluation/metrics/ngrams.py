"""What BLEU and CIDEr count."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence

Tokens = Sequence[Hashable]  # words, or word ids: scorers only compare them
NGram = tuple[Hashable, ...]


def count_ngrams(tokens: Tokens, longest: int = 4) -> Counter[NGram]:
    """Count the n-grams of 1 to `longest` tokens.

    >>> count_ngrams(["a", "b", "a"], longest=2)
    Counter({('a',): 2, ('b',): 1, ('a', 'b'): 1, ('b', 'a'): 1})

    Raises:
        TypeError: if a sentence comes that is not yet split into tokens.
    """
    if isinstance(tokens, str):
        raise TypeError(f"a list of tokens is scored, not the string {tokens[:40]!r}")
    words = tuple(tokens)
    lengths = range(1, longest + 1)
    return Counter([words[i : i + n] for n in lengths for i in range(len(words) - n + 1)])
