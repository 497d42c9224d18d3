"""Splits of generated data: ids, and the split that may hold an example."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.builtin.splits import split_in_id, split_of_scene, split_of_text, synthetic_ids
from data.common.errors import UserError

SPLITS = {"train": 3, "test": 2}


@given(st.sampled_from([*SPLITS]), st.integers(0, 10**6))
def test_an_id_contains_its_split(split: str, seed: int) -> None:
    ids = list(synthetic_ids(split, SPLITS, seed))
    assert len(set(ids)) == SPLITS[split]
    assert {split_in_id(each, SPLITS) for each in ids} <= {split}


def test_ids_are_numbered_from_zero() -> None:
    assert list(synthetic_ids("test", SPLITS, 7)) == ["test-7-00000", "test-7-00001"]


@pytest.mark.parametrize("wrong", ["", "test-0", "test-0-1", "dev-0-00001", "test-0-00001.png"])
def test_an_invalid_id_or_split_is_refused(wrong: str) -> None:
    with pytest.raises(UserError, match="SPLIT-SEED-INDEX"):
        split_in_id(wrong, SPLITS)
    with pytest.raises(UserError, match="unknown split 'dev'"):
        list(synthetic_ids("dev", SPLITS, 0))


def test_shares_of_the_splits() -> None:
    texts = [f"text {number}" for number in range(4000)]
    for split_of, shares in (
        (split_of_text, {"train": 0.8, "validation": 0.1, "test": 0.1}),
        (split_of_scene, {"train": 192 / 256, "validation": 26 / 256, "test": 38 / 256}),
    ):
        counts = Counter(map(split_of, texts))
        assert {split: count / 4000 for split, count in counts.items()} == pytest.approx(
            shares, abs=0.03
        )
