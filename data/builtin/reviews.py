"""The built-in texts: made-up reviews whose verdict follows from what they say.

A review holds one or two judgements. "not" turns one round, "but" gives the last word to what
follows it, and other clauses say nothing. So words in a bag do not tell the verdict: their order
does. Everything follows from (seed, split, index). Two splits never share a review: the hash of
the text says which may hold it. The words in `NEVER_NEGATED` are negated in the split `unseen`
only, and in each of its reviews.

>>> reviews = synthetic_reviews("test", count=3)
>>> all(review_label(text) == label for text, label in reviews)
True
>>> review_label("the plot was not dull , but the ending was bad .")
'negative'
"""

from __future__ import annotations

import hashlib
import random

SPLITS = {"train": 6000, "validation": 500, "test": 500, "unseen": 500}
LABELS = ("negative", "positive")
GOOD = ("good", "charming", "clever", "funny", "moving", "fresh", "brilliant", "elegant")
BAD = ("bad", "dull", "clumsy", "tedious", "silly", "stale", "dreadful", "shallow")
NEVER_NEGATED = frozenset(("clever", "moving", "tedious", "stale"))
THINGS = (
    "plot", "ending", "acting", "music", "hero", "script", "first half", "dialogue", "camera",
    "villain", "cast", "story",
)  # fmt: skip
NEGATIONS = ("not", "never", "hardly")
DEGREES = ("", "", "", "very", "truly", "quite")
ASIDES = (
    "we sat in the third row", "it runs for two hours", "my sister chose it", "it was shot in rome",
    "the hall was full", "i saw it on a monday",
)  # fmt: skip


def synthetic_reviews(
    split: str, *, seed: int = 0, count: int | None = None
) -> list[tuple[str, str]]:
    """Return reviews and their labels, all different.

    Args:
        split: a key of `SPLITS`.
        seed: another seed, other reviews; of other splits they stay apart all the same.
        count: how many; by default `SPLITS[split]`.
    """
    chance = random.Random(f"{seed}/{split}")
    found: dict[str, str] = {}
    while len(found) < (SPLITS[split] if count is None else count):
        text = _review(chance)
        if _home(text) == split:
            found[text] = review_label(text)
    return list(found.items())


def review_label(text: str) -> str:
    """Read a review as the language means it; of two judgements the last counts."""
    words = text.split()
    last = max(i for i, word in enumerate(words) if word in GOOD or word in BAD)
    negated = any(word in NEGATIONS for word in words[max(0, last - 2) : last])
    return LABELS[(words[last] in GOOD) != negated]


def _review(chance: random.Random) -> str:
    clauses = [_judgement(chance)]
    if chance.random() < 0.6:
        clauses = [_judgement(chance), "but", *clauses]
        clauses[0] += " ,"
    if chance.random() < 0.4:
        clauses.insert(0, chance.choice(ASIDES) + " .")
    if chance.random() < 0.4:
        clauses[-1] += " ."
        clauses.append(chance.choice(ASIDES))
    return " ".join([*clauses, "."])


def _judgement(chance: random.Random) -> str:
    negation = chance.choice(NEGATIONS) if chance.random() < 0.4 else ""
    parts = ["the", chance.choice(THINGS), "was", negation, chance.choice(DEGREES)]
    return " ".join(filter(None, [*parts, chance.choice(GOOD + BAD)]))


def _home(text: str) -> str:
    """Return the only split that may hold a review."""
    words = text.split()
    for place, word in enumerate(words):
        near = words[max(0, place - 2) : place]
        if word in NEVER_NEGATED and any(each in NEGATIONS for each in near):
            return "unseen"
    share = hashlib.sha256(text.encode()).digest()[0] / 256
    return "train" if share < 0.8 else "validation" if share < 0.9 else "test"
