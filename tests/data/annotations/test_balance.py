"""Automatic splits: balanced, connected examples together, stable."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.annotations.balance import SHARES, Example, assign_splits, content_key

HELD_OUT = ("validation", "test")
examples = st.lists(
    st.builds(
        lambda number, label, group: Example(
            content_key(str(number)), label, ((group,) if group else ())
        ),
        st.integers(0, 10_000),
        st.sampled_from("abc"),
        st.integers(0, 12),
    ),
    min_size=2,
    max_size=80,
)


def made(count: int, labels: int = 1, groups: int = 0) -> list[Example]:
    return [
        Example(content_key(str(n)), str(n % labels), ((n % groups,) if groups else ()))
        for n in range(count)
    ]


@pytest.mark.parametrize(
    ("some", "counts"),
    [
        (made(2), [1, 1, 0]),
        (made(3), [1, 1, 1]),
        (made(5), [3, 1, 1]),
        (made(10), [8, 1, 1]),
        (made(24, 2, 11), [20, 2, 2]),
        (made(1000, 7), [800, 100, 100]),
        (made(200, 100), [160, 20, 20]),
    ],
)
def test_splits_are_80_10_10_and_none_is_empty(some: list[Example], counts: list[int]) -> None:
    found = Counter(assign_splits(some, HELD_OUT, {}))
    assert all(abs(found[s] - n) <= 3 for s, n in zip(SHARES, counts, strict=True)), found
    assert all(bool(found[s]) == bool(n) for s, n in zip(SHARES, counts, strict=True))


def test_each_label_is_divided_in_proportion() -> None:
    some = [Example(content_key(str(n)), "rare" if n % 20 == 0 else "common") for n in range(1000)]
    found = Counter(
        zip((each.label for each in some), assign_splits(some, HELD_OUT, {}), strict=True)
    )
    for label, count in (("rare", 50), ("common", 950)):
        for split, share in SHARES.items():
            assert abs(found[label, split] - share * count) <= 1


@settings(deadline=None)
@given(examples, st.randoms())
def test_splits_keep_examples_together_and_ignore_the_order(some: list[Example], random) -> None:  # type: ignore[no-untyped-def]
    found = assign_splits(some, HELD_OUT, {})
    together: dict[object, set[str]] = {}
    for each, split in zip(some, found, strict=True):
        for tie in (each.key, *each.ties):
            together.setdefault(tie, set()).add(split)
    assert all(len(splits) == 1 for splits in together.values())
    labels = {each.label for each in some}
    assert labels == {e.label for e, split in zip(some, found, strict=True) if split == "train"}
    order = list(range(len(some)))
    random.shuffle(order)
    again = assign_splits([some[index] for index in order], HELD_OUT, {})
    assert again == [found[index] for index in order]


@settings(deadline=None)
@given(examples, examples)
def test_new_examples_move_no_earlier_one(some: list[Example], new: list[Example]) -> None:
    found = assign_splits(some, HELD_OUT, {})
    earlier = {each.key: split for each, split in zip(some, found, strict=True)}
    assert assign_splits([*some, *new], HELD_OUT, earlier)[: len(some)] == found


def test_a_copy_of_an_earlier_example_joins_it() -> None:
    some = made(100)
    found = assign_splits(some, HELD_OUT, {})
    earlier = {each.key: split for each, split in zip(some, found, strict=True)}
    tied = [each._replace(ties=(number,)) for number, each in enumerate(some)]
    copies = [Example(content_key(f"copy {n}"), "0", (n,)) for n in range(100)]
    assert assign_splits([*copies, *tied], HELD_OUT, earlier) == [*found, *found]
