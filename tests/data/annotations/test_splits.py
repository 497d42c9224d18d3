"""Splits by hash, by label and by fold."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.annotations.entries import Annotations, Entry, Row
from data.annotations.splits import (
    FOLDS,
    assign_fold,
    choose_splits,
    hash_splits,
    hold_out_groups,
)
from data.common.errors import UserError


@settings(deadline=None)
@given(st.sets(st.text(max_size=8), min_size=2, max_size=60))
def test_hash_splits_always_have_training_and_validation(image_ids: set[str]) -> None:
    splits = hash_splits(image_ids)
    assert set(splits) == image_ids
    assert {"train", "validation"} <= set(splits.values()) <= {"train", "validation", "test"}
    assert splits == hash_splits(sorted(image_ids, reverse=True))


def test_hash_splits_are_80_10_10_and_new_ids_do_not_move_old_ones() -> None:
    image_ids = [f"{number}.jpg" for number in range(5000)]
    splits = hash_splits(image_ids)
    counts = Counter(splits.values())
    assert 3900 < counts["train"] < 4100
    assert 420 < counts["validation"] < 580
    fewer = hash_splits(image_ids[:3000])
    assert all(splits[image_id] == fewer[image_id] for image_id in fewer)


def test_splits_are_stratified_by_label() -> None:
    labels = {f"{number}.jpg": "ab"[number % 2] for number in range(2000)} | {"one.jpg": "c"}
    chosen, notes = choose_splits(((name, label, None) for name, label in labels.items()), "image")
    assert chosen["one.jpg"] == "train"
    for label in "ab":
        counts = Counter(chosen[name] for name in labels if labels[name] == label)
        assert 750 < counts["train"] < 850 and counts["validation"] > 60 and counts["test"] > 60
    assert notes == ("no splits given: 80 % train, 10 % validation, 10 % test, by a hash",)


def test_only_a_missing_validation_split_is_chosen() -> None:
    train = [(f"{number}.jpg", "a", "train") for number in range(200)]
    chosen, (note,) = choose_splits([*train, ("t.jpg", "a", "test")], "image")
    counts = Counter(chosen.values())
    assert set(counts) == {"train", "validation"} and "t.jpg" not in chosen
    assert note.startswith(f"no validation split given: {counts['validation']} of the training")
    assert choose_splits([*train, ("v.jpg", "a", "validation")], "image") == ({}, ())


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
