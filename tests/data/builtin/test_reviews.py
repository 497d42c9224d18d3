"""Synthetic reviews: labels follow from the text, splits are disjoint."""

from __future__ import annotations

from collections import Counter

import pytest

from data.builtin.reviews import NEGATIONS, NEVER_NEGATED, SPLITS, review_label, synthetic_reviews


def test_synthetic_reviews_are_correctly_labelled_disjoint_and_reproducible() -> None:
    seen: dict[str, str] = {}
    for split, count in SPLITS.items():
        for seed in (0, 1):
            found = synthetic_reviews(split, seed=seed)[: count // 2]
            assert found == synthetic_reviews(split, seed=seed)[: count // 2]
            assert all(review_label(text) == label for text, label in found)
            assert all(seen.setdefault(text, split) == split for text, _ in found)
            share = Counter(label for _, label in found)["positive"] / len(found)
            assert 0.4 < share < 0.6


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("the plot was good .", "positive"),
        ("the plot was hardly very good .", "negative"),
        ("the plot was good , but the hero was never dull .", "positive"),
        ("it runs for two hours . the plot was bad , but the cast was not clever .", "negative"),
    ],
)
def test_the_last_judgement_decides_the_label(text: str, label: str) -> None:
    assert review_label(text) == label


def test_labels_of_synthetic_reviews_depend_on_word_order() -> None:
    """Swapping the clauses around "but" keeps the words but often changes the label."""
    turned = 0
    for text, label in synthetic_reviews("train")[:500]:
        first, _, second = text.removesuffix(" .").partition(" , but ")
        turned += bool(second) and review_label(f"{second} , but {first} .") != label
    assert turned > 100


def test_some_words_are_negated_in_the_unseen_split_only() -> None:
    def negated(text: str) -> set[str]:
        words = text.split()
        near = (set(words[max(0, at - 2) : at]) for at in range(len(words)))
        return {word for word, before in zip(words, near, strict=True) if before & {*NEGATIONS}}

    for split in SPLITS:
        texts = [text for text, _ in synthetic_reviews(split)[:200]]
        assert {bool(negated(text) & NEVER_NEGATED) for text in texts} == {split == "unseen"}
    train = " ".join(text for text, _ in synthetic_reviews("train"))
    assert set(train.split()) >= NEVER_NEGATED
