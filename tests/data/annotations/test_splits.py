"""Splits that a source names, by content and by fold."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.annotations.entries import Annotations, Entry, Row, text_entry
from data.annotations.splits import (
    FOLDS,
    assign_fold,
    complete_splits,
    hold_out_groups,
    order_texts,
    text_examples,
    usable_texts,
)
from data.common.errors import UserError


def entry(number: int, split: str = "", label: str = "a") -> Entry:
    return text_entry(f"{number}.txt:1", f"text number {number}", label, split or None)


def complete(entries: list[Entry], memory: Path | None = None) -> Annotations:
    listed = usable_texts(entries, ["validation", "test"])
    return complete_splits(listed, text_examples(listed.entries), "text", memory)


def test_splits_that_no_example_names_are_chosen() -> None:
    found = complete([entry(number, label="ab"[number % 2]) for number in range(200)])
    counts = Counter((each.split, each.label) for each in found.entries)
    assert counts == {
        (split, label): count
        for split, count in (("train", 80), ("validation", 10), ("test", 10))
        for label in "ab"
    }
    assert found.notes == ("no splits given: 80 % train, 10 % validation, 10 % test, by content",)


@pytest.mark.parametrize(
    ("named", "counts"),
    [
        ("train", {"train": 160, "validation": 20, "test": 20}),
        ("test", {"train": 180, "validation": 20, "test": 1}),
        ("validation", {"train": 180, "validation": 1, "test": 20}),
    ],
)
def test_a_missing_split_is_a_tenth_of_the_training_split(
    named: str, counts: dict[str, int]
) -> None:
    train = [entry(number, "train") for number in range(200)]
    others = [entry(1000, named)] if named != "train" else []
    found = complete([*train, *others])
    assert Counter(each.split for each in found.entries) == counts
    missing = [name for name in ("validation", "test") if name != named]
    assert found.notes[0].startswith(f"no {' and '.join(missing)} split given: ")


def test_splits_named_in_full_are_kept() -> None:
    named = [entry(n, split) for n, split in enumerate(("train", "validation", "test"))]
    assert complete(named).notes == ()


def test_an_added_text_moves_no_other(tmp_path: Path) -> None:
    """Identity is the content: a line put at the top of a file changes the other lines' numbers."""
    texts = [f"text number {number}" for number in range(400)]
    before, memory = list[Entry](), tmp_path / "splits"
    for added in ([], ["a new text"], [f"another {number}" for number in range(300)]):
        texts = [*added, *texts]
        entries = [text_entry(f"texts.csv:{n}", text, "a", None) for n, text in enumerate(texts)]
        found = complete(entries, memory).entries
        split_of = {each.captions[0]: each.split for each in found}
        assert all(split_of[each.captions[0]] == each.split for each in before)
        before = list(found)
        counts = Counter(each.split for each in found)
        assert abs(counts["test"] - len(texts) / 10) < 1


@pytest.mark.parametrize(
    "other",
    [
        "It’s a ﬁne DOG",
        "it's  a fine dog .",
        "“It's a fine dog!”",
        "Ｉt's a fine dog",
        "IT`S A FINE DOG",
    ],
)
def test_the_same_text_in_two_splits_is_found_however_it_is_written(other: str) -> None:
    entries = [
        text_entry("train.csv:1", other, "a", "train"),
        text_entry("train.csv:2", "a cat", "a", "train"),
        text_entry("dev.csv:1", "It's a fine dog", "a", "validation"),
    ]
    found = order_texts(usable_texts(entries, []))
    assert [each.captions[0] for each in found.entries] == ["a cat", "It's a fine dog"]
    (problem,) = found.problems
    assert problem.file == "train.csv:1" and "the same text as dev.csv:1" in problem.reason


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("nan", "no text: 'nan'"),
        ("NULL", "no text: 'NULL'"),
        ("#N/A", "no text: '#N/A'"),
        ("['a red square', 'b']", "a list written as text: "),
        ('["a"]', "a list written as text: "),
        ("nana", ""),
        ("[sic] a dog", ""),
    ],
)
def test_cells_that_nobody_wrote_are_left_out_and_named(text: str, reason: str) -> None:
    found = usable_texts([text_entry("a.csv:2", text, "a", None)], [])
    assert len(found.entries) == (not reason)
    assert not reason or found.problems[0].reason.startswith(reason)


def test_a_tenth_of_the_training_groups_is_held_out() -> None:
    rows = [
        Row(f"{number}.avi", None, split, "list.txt:1", group=f"g{number // 3}")
        for number, split in enumerate(["train"] * 3000 + ["test"] * 30)
    ]
    moved = hold_out_groups(rows)
    assert [row.split for row in moved[3000:]] == ["test"] * 30
    validation = {row.group for row in moved if row.split == "validation"}
    assert not validation & {row.group for row in moved if row.split == "train"}
    assert 70 < len(validation) < 130


@settings(deadline=None, max_examples=60)
@given(st.lists(st.lists(st.integers(1, 40), min_size=2, max_size=30), min_size=1, max_size=40))
def test_held_out_groups_have_every_label(sizes: list[list[int]]) -> None:
    # Of each label the sizes of its groups; one more group is shared by all labels.
    rows = [
        Row(
            f"{label}-{group}-{at}.avi",
            None,
            "train",
            "",
            label=str(label),
            group=f"{label} {group}",
        )
        for label, groups in enumerate(sizes)
        for group, size in enumerate(groups)
        for at in range(size)
    ]
    rows += [Row(f"{label}.avi", None, "train", "", label=str(label), group="all")
             for label in range(len(sizes))]  # fmt: skip
    moved = hold_out_groups(rows)
    found = {split: {row.label for row in moved if row.split == split}
             for split in ("train", "validation")}  # fmt: skip
    assert found["train"] == found["validation"] == {str(label) for label in range(len(sizes))}
    assert len({(row.group, row.split) for row in moved}) == len({row.group for row in moved})
    assert hold_out_groups(moved) == moved


def listing(groups: int) -> Annotations:
    entries = [
        Entry(f"{group}-{clip}", "a.mp4", "a.mp4", (), "train", "x", f"g{group}")
        for group in range(groups)
        for clip in range(1 + group % 4)
    ]
    return Annotations(tuple(entries), (), ("no splits given",))


def test_each_clip_is_in_one_test_fold_and_groups_stay_together() -> None:
    whole = listing(30)
    tested = Counter[str]()
    for fold in range(1, FOLDS + 1):
        found = assign_fold(whole, fold)
        assert [entry.image_id for entry in found.entries] == [e.image_id for e in whole.entries]
        splits: dict[str, set[str]] = {}
        for entry in found.entries:
            splits.setdefault(entry.group, set()).add(entry.split)
        assert all(len(each) == 1 for each in splits.values())
        counts = Counter(entry.split for entry in found.entries)
        assert abs(counts["test"] - len(whole.entries) / 5) <= 2
        assert abs(counts["validation"] - len(whole.entries) / 10) <= 2
        tested.update(entry.image_id for entry in found.entries if entry.split == "test")
    assert set(tested.values()) == {1} and len(tested) == len(whole.entries)


def test_impossible_folds_are_refused() -> None:
    with pytest.raises(UserError, match="--fold is 1 to 5, not 6"):
        assign_fold(listing(30), 6)
    with pytest.raises(UserError, match="at least 10 groups of clips, not 9"):
        assign_fold(listing(9), 1)
