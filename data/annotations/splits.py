"""Lines of text to splits: what is empty or in two of them is left out and named."""

from __future__ import annotations

import dataclasses
import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol, TypeVar

from data.annotations.entries import Listing, Problem
from data.common.errors import UserError


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


# What distributors and users call the three splits.
SPLITS: Mapping[str, str] = {
    "train": "train", "training": "train", "restval": "train",
    "validation": "validation", "valid": "validation", "val": "validation", "dev": "validation",
    "validate": "validation",
    "test": "test", "testing": "test",
}  # fmt: skip


def hash_splits(image_ids: Iterable[str]) -> dict[str, str]:
    """Split pictures 80 : 10 : 10 by a hash of their ids.

    A picture's split does not depend on the others, so that new pictures move no old ones; only
    where train or validation would be empty does the nearest picture move there.

    >>> sorted(hash_splits(["a.jpg", "b.jpg"]).values())
    ['train', 'validation']
    """
    splits = {
        image_id: "train" if place < 0.8 else "validation" if place < 0.9 else "test"
        for image_id in image_ids
        for place in [_place(image_id)]
    }
    if len(splits) > 1 and not {"train", "validation"} <= set(splits.values()):
        ordered = sorted(splits, key=_place)
        if "train" not in splits.values():
            splits[ordered[0]] = "train"
        if "validation" not in splits.values():
            later = [image_id for image_id in ordered if splits[image_id] == "test"]
            splits[(later or ordered[-1:])[0]] = "validation"
    return splits


def _place(image_id: str) -> float:
    return int.from_bytes(hashlib.sha256(image_id.encode()).digest()[:6]) / 2**48


FOLDS = 5


_BINS = 2 * FOLDS


def fold_listing(listing: Listing, fold: int) -> Listing:
    """Split a listing anew by its groups: a fifth is tested on, a tenth is for validation.

    Groups go, the largest first, to the bin with the fewest clips; nothing else counts, so that
    the five folds share one division, and each clip is in the test split of just one of them.

    Args:
        listing: its own splits do not count.
        fold: 1 to 5.

    Raises:
        UserError: if there is no such fold, or too few groups.
    """
    if not 1 <= fold <= FOLDS:
        raise UserError(f"--fold is 1 to {FOLDS}, not {fold}")
    sizes = Counter(entry.group for entry in listing.entries)
    if len(sizes) < _BINS:
        raise UserError(f"{FOLDS} folds need at least {_BINS} groups of clips, not {len(sizes)}")
    clips, bins = [0] * _BINS, dict[str, int]()
    for group in sorted(sizes, key=lambda name: (-sizes[name], _digest(name))):
        least = clips.index(min(clips))
        bins[group] = least
        clips[least] += sizes[group]
    splits = ["train"] * _BINS
    first = 2 * (fold - 1)
    splits[first : first + 2] = ["test", "test"]
    splits[(first + 2) % _BINS] = "validation"
    entries = tuple(entry._replace(split=splits[bins[entry.group]]) for entry in listing.entries)
    note = f"fold {fold} of {FOLDS}: split by {len(sizes):,} groups"
    return dataclasses.replace(listing, entries=entries, notes=(note,))


def _digest(name: str) -> bytes:
    return hashlib.sha256(name.encode()).digest()


def bound(text: str | None, total: int) -> int | None:
    """Return a slice's bound as a number of texts.

    >>> bound("95%", 200), bound("-3", 200), bound(None, 200)
    (190, -3, None)
    """
    if text is None:
        return None
    return round(int(text[:-1]) * total / 100) if text.endswith("%") else int(text)


def whole_split(split: str) -> str:
    """Return the split that a TFDS slice is cut from.

    >>> whole_split("train[:95%]")
    'train'
    """
    return re.split(r"[\[+]", split, maxsplit=1)[0]
