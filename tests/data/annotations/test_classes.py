"""The classes of a labeled dataset are those of its training examples."""

from __future__ import annotations

import pytest

from data.annotations.classes import classes_of
from data.common.errors import UserError

TRAIN = [("train", "1", "rose"), ("train", "2", "daisy"), ("train", "3", "rose")]


def test_classes_are_sorted_and_other_splits_may_lack_some() -> None:
    assert classes_of("flowers", iter([*TRAIN, ("test", "4", "rose")]), "image") == (
        "daisy",
        "rose",
    )


@pytest.mark.parametrize(
    ("examples", "message"),
    [
        ([], "flowers: a classifier needs two classes or more; the training images have none"),
        ([TRAIN[0], TRAIN[2], ("test", "4", "daisy")], r"have 'rose' \(2 images\)"),
        (
            [*TRAIN, ("test", "4", "tulip")],
            r"4 \(test\) has the label 'tulip', which no training image has; known: daisy, rose",
        ),
    ],
)
def test_too_few_or_unknown_classes_are_refused(
    examples: list[tuple[str, str, str]], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        classes_of("flowers", examples, "image")
