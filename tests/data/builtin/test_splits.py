"""The split that may hold a generated example."""

from __future__ import annotations

from collections import Counter

import pytest

from data.builtin.splits import split_of_scene, split_of_text


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
