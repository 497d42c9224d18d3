"""The synthetic parallel corpus: German word order and agreement, disjoint splits."""

from __future__ import annotations

import pytest

from data.builtin.parallel_corpus import (
    ADJECTIVES,
    ADVERBS,
    ARTICLES,
    NEVER_OBJECTS,
    NUMBERS,
    PEOPLE,
    SPLITS,
    THINGS,
    VERBS,
    synthetic_pairs,
)

CHECKED_BY_HAND = {
    "Two poor men have carried the poor picture.": "Zwei arme Männer haben das arme Bild getragen.",
    "Today the poor women see a dog.": "Heute sehen die armen Frauen einen Hund.",
    "A poor girl takes two pictures along.": "Ein armes Mädchen nimmt zwei Bilder mit.",
    "An aunt wants to look at a hat.": "Eine Tante will einen Hut ansehen.",
    "Sometimes two beautiful queens look for the child.": (
        "Manchmal suchen zwei schöne Königinnen das Kind."
    ),
    "Two aunts have looked for the red hat.": "Zwei Tanten haben den roten Hut gesucht.",
    "Two women pick the beautiful child up.": "Zwei Frauen heben das schöne Kind auf.",
}


def test_synthetic_pairs_are_disjoint_and_require_word_order_and_agreement() -> None:
    splits = {split: synthetic_pairs(split) for split in SPLITS}
    texts = [{text for text, _ in each} for each in splits.values()]
    assert sum(map(len, texts)) == len(set.union(*texts)) == 9500
    words = {split: " ".join(f"{e} {g}" for e, g in each) for split, each in splits.items()}
    nouns = {noun.english[0]: noun for noun in (*PEOPLE, *THINGS)}
    for name in NEVER_OBJECTS:  # the accusative of masculine nouns differs
        if nouns[name].gender == "m":
            german = nouns[name].german[0]
            assert f"den {german}" not in words["train"], german
            assert f"der {german}" in words["train"]
    pairs = dict(pair for each in splits.values() for pair in each)
    assert any(g.endswith(("will.", "wollen.")) for g in pairs.values())  # the verb comes last
    assert any(e.startswith("Today") and g.split()[1] == "hat" for e, g in pairs.items())


def test_translations_equal_those_checked_by_hand() -> None:
    pairs = dict(synthetic_pairs("train"))
    for text, translation in CHECKED_BY_HAND.items():
        assert pairs[text] == translation


@pytest.mark.parametrize("split", SPLITS)
def test_pairs_depend_on_the_seed_and_a_smaller_count_returns_the_first(split: str) -> None:
    pairs = synthetic_pairs(split)[:40]
    assert len({text for text, _ in pairs}) == 40
    assert synthetic_pairs(split, seed=1)[:40] != pairs


def test_splits_of_different_seeds_share_no_sentence() -> None:
    splits: dict[str, str] = {}
    for split in SPLITS:
        for seed in (0, 1):
            for text, _ in synthetic_pairs(split, seed=seed)[:300]:
                assert splits.setdefault(text, split) == split


def test_every_word_of_the_grammar_occurs_in_training() -> None:
    pairs = synthetic_pairs("train")
    english, german = (
        {*" ".join(side).lower().replace(".", "").split()} for side in zip(*pairs, strict=True)
    )
    nouns = (*PEOPLE, *THINGS)
    assert english >= {*ADJECTIVES, *ADVERBS, *NUMBERS, *ARTICLES, "an"}
    assert english >= {form for noun in nouns for form in noun.english}
    assert german >= {form.lower() for noun in nouns for form in noun.german}
    assert german >= {f"{verb.prefix}{verb.german[2]}" for verb in VERBS}
