"""Lines of text to splits: what is empty or in two of them is left out and named."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any, Protocol, TypeVar

from data.listing import hash_splits
from data.problems import Problem


class Line(Protocol):
    """A named tuple that holds a text."""

    @property
    def text_id(self) -> str:
        """Its file and line: "train.tsv:12"."""

    @property
    def text(self) -> str:
        """What goes into a model."""

    @property
    def split(self) -> str | None:
        """The split that the source names; None where it names none."""

    @property
    def problem(self) -> str:
        """Why it cannot be used; "" if it can."""

    @property
    def _replace(self) -> Callable[..., Any]:
        """What returns a copy with other values."""


AnyLine = TypeVar("AnyLine", bound=Line)


def into_splits(
    lines: Iterable[AnyLine],
) -> tuple[dict[str, list[AnyLine]], list[Problem], list[str]]:
    """Put texts into splits, in an order that a hash of their ids gives.

    What has a problem is left out, and so is a training text that a split to be measured on holds
    too. Where no text names a split, they go 80 : 10 : 10 by the hash; where only validation is
    missing, a tenth of the training texts becomes it.

    Returns:
        The texts of each split, what is wrong with the source, and remarks for the screen.
    """
    kept: list[AnyLine] = []
    problems: list[Problem] = []
    for line in lines:
        if line.problem:
            problems.append(Problem(line.text_id, line.problem, line.text_id.partition(":")[0]))
        else:
            kept.append(line)
    kept, notes = _choose(kept)
    held_out = {line.text: line.text_id for line in kept if line.split != "train"}
    splits: dict[str, list[AnyLine]] = {}
    for line in sorted(kept, key=lambda line: hashlib.sha256(line.text_id.encode()).digest()):
        if line.split == "train" and line.text in held_out:
            reason = f"in two splits: the same text as {held_out[line.text]}, which is kept"
            problems.append(
                Problem(line.text_id, reason, line.text_id.partition(":")[0], bad=False)
            )
        else:
            splits.setdefault(str(line.split), []).append(line)
    order = ("train", "validation", "test")
    return {split: splits[split] for split in order if split in splits}, problems, notes


def _choose(lines: list[AnyLine]) -> tuple[list[AnyLine], list[str]]:
    """Choose the splits that no line names, label by label, so that each has its share; say how."""
    named = {line.split for line in lines} - {None}
    by_label = defaultdict[str, list[str]](list)
    for line in lines:
        if line.split in (None, "train") and "validation" not in named:
            by_label[getattr(line, "label", "")].append(line.text_id)
    chosen = dict[str, str]()
    for ids in by_label.values():
        chosen |= hash_splits(ids) if len(ids) > 1 else dict.fromkeys(ids, "train")
    if named:
        # What is tested on is there already, or not wanted.
        chosen = {name: "train" if way == "test" else way for name, way in chosen.items()}
        held_out = sum(way == "validation" for way in chosen.values())
        note = f"no validation split given: {held_out:,} of the training texts, by a hash"
    else:
        note = "no splits given: 80 % train, 10 % validation, 10 % test, by a hash"
    split = [line._replace(split=chosen.get(line.text_id, line.split or "train")) for line in lines]
    return split, [note] if chosen else []
