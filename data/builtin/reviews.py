"""Synthetic reviews with the label that follows from their text.

A review has one or two judgements. "not" negates a judgement, after "but" only the second one
counts, and other clauses are neutral: the label depends on the order of the words. Everything
follows from (seed, split, index), and no two splits share a review. The words in `NEVER_NEGATED`
are negated in the split `unseen` only, and in each of its reviews.

>>> review_label("the plot was not dull , but the ending was bad .")
'negative'
"""

from __future__ import annotations

import random

from data.builtin.splits import split_of_text

SPLITS = {"train": 6000, "validation": 500, "test": 500, "unseen": 500}
LABELS = ("negative", "positive")
GOOD = ("good", "charming", "clever", "funny", "moving", "fresh", "brilliant", "elegant")
BAD = ("bad", "dull", "clumsy", "tedious", "silly", "stale", "dreadful", "shallow")
NEVER_NEGATED = frozenset(("clever", "moving", "tedious", "stale"))
SUBJECTS = (
    "plot", "ending", "acting", "music", "hero", "script", "first half", "dialogue", "camera",
    "villain", "cast", "story",
)  # fmt: skip
NEGATIONS = ("not", "never", "hardly")
DEGREES = ("", "", "", "very", "truly", "quite")
ASIDES = (
    "we sat in the third row", "it runs for two hours", "my sister chose it", "it was shot in rome",
    "the hall was full", "i saw it on a monday",
)  # fmt: skip


def synthetic_reviews(split: str, *, seed: int = 0) -> list[tuple[str, str]]:
    """Return reviews of a split (a key of `SPLITS`) and their labels, all different."""
    rng = random.Random(f"{seed}/{split}")
    found: dict[str, str] = {}
    while len(found) < SPLITS[split]:
        text = _review(rng)
        if _split_of(text) == split:
            found[text] = review_label(text)
    return list(found.items())


def review_label(text: str) -> str:
    """Return the label of a review: the last judgement counts."""
    words = text.split()
    last = max(i for i, word in enumerate(words) if word in GOOD or word in BAD)
    negated = any(word in NEGATIONS for word in words[max(0, last - 2) : last])
    return LABELS[(words[last] in GOOD) != negated]


def _review(rng: random.Random) -> str:
    clauses = [_judgement(rng)]
    if rng.random() < 0.6:
        clauses = [_judgement(rng), "but", *clauses]
        clauses[0] += " ,"
    if rng.random() < 0.4:
        clauses.insert(0, rng.choice(ASIDES) + " .")
    if rng.random() < 0.4:
        clauses[-1] += " ."
        clauses.append(rng.choice(ASIDES))
    return " ".join([*clauses, "."])


def _judgement(rng: random.Random) -> str:
    negation = rng.choice(NEGATIONS) if rng.random() < 0.4 else ""
    parts = ["the", rng.choice(SUBJECTS), "was", negation, rng.choice(DEGREES)]
    return " ".join(filter(None, [*parts, rng.choice(GOOD + BAD)]))


def _split_of(text: str) -> str:
    """Return the only split that may hold a review."""
    words = text.split()
    for index, word in enumerate(words):
        near = words[max(0, index - 2) : index]
        if word in NEVER_NEGATED and any(each in NEGATIONS for each in near):
            return "unseen"
    return split_of_text(text)
