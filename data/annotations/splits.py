"""Splits: their names, and how examples are assigned to them."""

from __future__ import annotations

import hashlib
import itertools
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping

from data.annotations.entries import Annotations, Entry, Problem, Row
from data.annotations.source_files import HALF_SURROGATE
from data.common.errors import UserError
from data.media.words import is_blank

# What distributors and users call the three splits.
SPLITS: Mapping[str, str] = {
    "train": "train", "training": "train", "restval": "train",
    "validation": "validation", "valid": "validation", "val": "validation", "dev": "validation",
    "validate": "validation",
    "test": "test", "testing": "test",
}  # fmt: skip
FOLDS = 5
_BINS = 2 * FOLDS


def hash_splits(ids: Iterable[str]) -> dict[str, str]:
    """Split ids 80 : 10 : 10 by a hash of each.

    The split of an id does not depend on the other ids, except where train or validation would be
    empty: the id with the nearest hash moves there.

    >>> sorted(hash_splits(["a.jpg", "b.jpg"]).values())
    ['train', 'validation']
    """
    fractions = {name: int.from_bytes(_digest(name)[:6]) / 2**48 for name in ids}
    splits = {
        name: "train" if fraction < 0.8 else "validation" if fraction < 0.9 else "test"
        for name, fraction in fractions.items()
    }
    if len(splits) > 1 and not {"train", "validation"} <= set(splits.values()):
        ordered = sorted(splits, key=fractions.__getitem__)
        if "train" not in splits.values():
            splits[ordered[0]] = "train"
        if "validation" not in splits.values():
            later = [name for name in ordered if splits[name] == "test"]
            splits[(later or ordered[-1:])[0]] = "validation"
    return splits


def choose_splits(
    examples: Iterable[tuple[str, str, str | None]], kind: str
) -> tuple[dict[str, str], tuple[str, ...]]:
    """Choose the splits that a source does not name, stratified by label.

    Where no example has a split, all get one, 80 : 10 : 10. Where only validation is missing, a
    tenth of the training examples gets it. A label of a single example stays in training.

    Args:
        examples: id, label and split (None: not named) of each.
        kind: the noun for an example in the note: "image".

    Returns:
        id → chosen split, and the notes that say how it was chosen.
    """
    by_label, named = defaultdict[str, dict[str, None]](dict), set[str]()
    for name, label, split in examples:
        if split:
            named.add(split)
        if split in (None, "train"):
            by_label[label][name] = None
    if "validation" in named:
        return {}, ()
    chosen = dict[str, str]()
    for ids in by_label.values():
        chosen |= hash_splits(ids) if len(ids) > 1 else dict.fromkeys(ids, "train")
    if not chosen:
        return {}, ()
    if not named:
        return chosen, ("no splits given: 80 % train, 10 % validation, 10 % test, by a hash",)
    # The source has a test split, or does without one.
    chosen = {name: "train" if split == "test" else split for name, split in chosen.items()}
    count = sum(split == "validation" for split in chosen.values())
    note = f"no validation split given: {count:,} of the training {kind}s, by a hash"
    return chosen, (note,)


def split_texts(entries: Iterable[Entry]) -> Annotations:
    """Assign texts to splits by `choose_splits`, and order them by split and hash.

    Texts with a problem are left out, and so are training texts that also occur in another split.
    """
    kept, problems = list[Entry](), list[Problem]()

    def report(entry: Entry, reason: str, *, bad: bool = True) -> None:
        problems.append(Problem(entry.file, reason, entry.file.partition(":")[0], bad))

    for entry in entries:
        if reason := _text_problem(entry):
            report(entry, reason)
        else:
            kept.append(entry)
    labeled = ((each.image_id, each.label, each.split or None) for each in kept)
    chosen, notes = choose_splits(labeled, "text")
    kept = [each._replace(split=chosen.get(each.image_id, each.split or "train")) for each in kept]
    held_out = {each.captions[0]: each.file for each in kept if each.split != "train"}
    splits: dict[str, list[Entry]] = {"train": [], "validation": [], "test": []}
    for entry in sorted(kept, key=lambda entry: _digest(entry.image_id)):
        if entry.split == "train" and (other := held_out.get(entry.captions[0])):
            report(entry, f"in two splits: the same text as {other}, which is kept", bad=False)
        else:
            splits[entry.split].append(entry)
    ordered = itertools.chain.from_iterable(splits.values())
    return Annotations(tuple(ordered), tuple(problems), notes)


def _text_problem(entry: Entry) -> str:
    """Return why a text cannot be used; "" if it can."""
    if any(map(HALF_SURROGATE.search, entry.captions)):
        return "text is not Unicode: half a surrogate pair"
    texts = zip(("text", "translation"), entry.captions, strict=False)
    return next((f"empty {name}" for name, text in texts if is_blank(text)), "")


def hold_out_groups(rows: Iterable[Row]) -> list[Row]:
    """Move a tenth of the training groups to validation, by a hash of their names."""
    return [
        row._replace(split="validation")
        if row.split == "train" and _digest(row.group or "")[0] < 26  # of 256
        else row
        for row in rows
    ]


def assign_fold(annotations: Annotations, fold: int) -> Annotations:
    """Split for cross-validation: a fifth of the groups for test, a tenth for validation.

    Groups go, largest first, to the bin with the fewest entries. The bins do not depend on the
    fold, so that each entry is in the test split of exactly one of the five folds.

    Raises:
        UserError: if there is no such fold (1 to 5), or there are too few groups.
    """
    if not 1 <= fold <= FOLDS:
        raise UserError(f"--fold is 1 to {FOLDS}, not {fold}")
    sizes = Counter(entry.group for entry in annotations.entries)
    if len(sizes) < _BINS:
        raise UserError(f"{FOLDS} folds need at least {_BINS} groups of clips, not {len(sizes)}")
    filled, bins = [0] * _BINS, dict[str, int]()
    for group in sorted(sizes, key=lambda name: (-sizes[name], _digest(name))):
        bins[group] = filled.index(min(filled))
        filled[bins[group]] += sizes[group]
    splits = ["train"] * _BINS
    first = 2 * (fold - 1)
    splits[first : first + 2] = ["test", "test"]
    splits[(first + 2) % _BINS] = "validation"
    entries = tuple(
        entry._replace(split=splits[bins[entry.group]]) for entry in annotations.entries
    )
    note = f"fold {fold} of {FOLDS}: split by {len(sizes):,} groups"
    return annotations._replace(entries=entries, notes=(note,))


def check_train_and_validation(annotations: Annotations, kind: str) -> None:
    """Check that there is something to train on and to validate with.

    Raises:
        UserError: if the training or the validation split is empty.
    """
    entries, problems = annotations.entries, annotations.problems
    counts = Counter(entry.split for entry in entries)
    if counts["train"] and counts["validation"]:
        return
    first = ""
    if problems:
        first = f". The first of {len(problems)} problems: {problems[0].file}: {problems[0].reason}"
    if len(entries) < 2:
        raise UserError(
            f"{len(entries)} usable {kind}(s): at least two are needed, one to train on and one to "
            f"validate with{first}"
        )
    empty = "validation" if counts["train"] else "train"
    raise UserError(
        f"no usable {kind} in the {empty} split (there are {dict(counts)}): name it in the "
        f"split lists or the split column{first}"
    )


def _digest(name: str) -> bytes:
    return hashlib.sha256(name.encode()).digest()


def parse_slice(text: str, total: int) -> slice | None:
    """Return the range that a TFDS slice takes of `total` examples; None if it is malformed.

    >>> parse_slice("[-3:95%]", 200), parse_slice("", 200), parse_slice("[5]", 200)
    (slice(-3, 190, None), slice(None, None, None), None)
    """
    match = re.fullmatch(r"(?:\[\s*(-?\d+%?)?\s*:\s*(-?\d+%?)?\s*\])?", text)
    if match is None:
        return None

    def bound(given: str | None) -> int | None:
        if given is None:
            return None
        return round(int(given[:-1]) * total / 100) if given.endswith("%") else int(given)

    return slice(bound(match[1]), bound(match[2]))


def whole_split(split: str) -> str:
    """Return the split that a TFDS slice is cut from: "train" of "train[:95%]"."""
    return re.split(r"[\[+]", split, maxsplit=1)[0]
