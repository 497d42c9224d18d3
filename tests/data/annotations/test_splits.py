"""Folds: every clip is tested once, and no group is torn."""

from __future__ import annotations

from collections import Counter

import pytest

from data.annotations.entries import Entry, Listing
from data.annotations.splits import FOLDS, fold_listing
from data.common.errors import UserError


def listing(groups: int) -> Listing:
    entries = [
        Entry(f"{group}-{clip}", "a.mp4", "a.mp4", (), "train", "x", f"g{group}")
        for group in range(groups)
        for clip in range(1 + group % 4)
    ]
    return Listing(tuple(entries), (), ("no splits given",))


def test_every_clip_is_tested_once_and_no_group_is_torn() -> None:
    whole = listing(30)
    tested = Counter[str]()
    for fold in range(1, FOLDS + 1):
        found = fold_listing(whole, fold)
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
        fold_listing(listing(30), 6)
    with pytest.raises(UserError, match="at least 10 groups of clips, not 9"):
        fold_listing(listing(9), 1)
