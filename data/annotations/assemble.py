"""From rows of a caption file to the pictures of a dataset: every reader's common half.

A reader yields `Row`s as its file has them; `assemble` finds the pictures, gathers their
captions, and names whatever does not fit. Clips are listed by the same rules.
"""

from __future__ import annotations

import os
import re
import sys
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from data.annotations.entries import Entry, Listing, Problem, Row
from data.annotations.scan import Pictures, key_of
from data.annotations.splits import hash_splits
from data.common.errors import UserError
from data.media.vocabulary import tokenize

MAX_WORDS = 200
HALF_PAIR = re.compile("[\ud800-\udfff]")  # of surrogates: JSON can spell it, UTF-8 cannot


@dataclass(slots=True)
class _Draft:
    """A picture while its rows come in."""

    where: str
    image_id: str
    split: str | None = None
    label: str = ""
    group: str = ""
    captions: tuple[str, ...] = ()
    numbers: tuple[str | None, ...] = ()  # of the captions

    def has(self, caption: str, number: str | None) -> bool:
        pairs = zip(self.captions, self.numbers, strict=True)
        return caption in self.captions and (caption, number) in pairs


def assemble(
    rows: Iterable[Row | Problem],
    pictures: Pictures,
    problems: Iterable[Problem] = (),
    *,
    partial: bool = False,
) -> Listing:
    """Bring rows and pictures together.

    A picture stays in the split that names it first. Where no row names a split, `hash_splits`
    chooses.

    Args:
        rows: in the order of the source; a problem where a line gives none.
        pictures: what the image folder holds.
        problems: what the reader met already.
        partial: whether the lists are a distributor's, who lists more than a copy may hold: then
            pictures in no split, and a test split without any of its pictures, are a note each
            instead of a problem a picture.

    Raises:
        UserError: if no caption, no training or no validation picture is left.
    """
    read, met = list[Problem](), list[Problem]()
    drafts = _gather(_rows(rows, read), pictures, met)
    found, notes = [*problems, *read, *met], list[str]()
    if not any(draft.captions or draft.label for draft in drafts.values()):
        raise UserError(f"every {pictures.kind} in {pictures.root} is {pictures.untold}")
    declared = any(draft.split for draft in drafts.values())
    used = _leave_out(drafts, pictures, found, notes) if partial and declared else drafts
    kept = []
    for key, draft in used.items():
        if reason := _unusable(key, draft, pictures, declared):
            found.append(Problem(key, reason, draft.where))
        else:
            kept.append(key)
    found += _untold(drafts, pictures)
    if used and not any(key in pictures.files for key in used):
        raise UserError(
            f"none of the {len(used):,} {pictures.kind}s listed is in {pictures.root}: "
            f"the first is {next(iter(used))!r}, there lie {_some(pictures.files)}"
        )
    splits = {} if declared else hash_splits(used[key].group for key in kept)
    if splits:
        of = "ids" if all(used[key].image_id in splits for key in kept) else "groups"
        notes.append(
            f"no splits given: 80 % train, 10 % validation, 10 % test by a hash of the {of}"
        )
    del drafts  # each makes room for its entry
    entries = (_entry(key, pictures, used.pop(key), splits) for key in kept)
    listing = Listing(tuple(entries), tuple(found), tuple(notes))
    _check_splits(listing, pictures.kind)
    return listing


def _entry(file: str, pictures: Pictures, draft: _Draft, splits: Mapping[str, str]) -> Entry:
    split, root = draft.split or splits[draft.group], str(pictures.root)
    place = pictures.files[file]
    return Entry(draft.image_id, file, place, draft.captions, split, draft.label, draft.group, root)


def _rows(rows: Iterable[Row | Problem], problems: list[Problem]) -> Iterator[Row]:
    """Yield what are rows; what are not goes to `problems`."""
    for row in rows:
        if isinstance(row, Problem):
            problems.append(row)
        else:
            yield row


def _gather(rows: Iterable[Row], pictures: Pictures, problems: list[Problem]) -> dict[str, _Draft]:
    """Group the rows by picture; drop captions that are none."""
    drafts: dict[str, _Draft] = {}
    for row in rows:
        key = key_of(row.file, pictures)
        draft = drafts.setdefault(key, _Draft(row.where, row.image_id or key))
        if draft.split and row.split and row.split != draft.split:
            reason = f"in two splits: {draft.split} (kept) and {row.split}"
            problems.append(Problem(key, reason, row.where))
        draft.split = draft.split or row.split
        label = sys.intern(one_line(row.label or ""))
        if draft.label and label and label != draft.label:
            reason = f"two labels: {draft.label!r} (kept) and {label!r}"
            problems.append(Problem(key, reason, row.where))
        elif label and label == draft.label and row.caption is None:
            problems.append(Problem(key, "listed twice", row.where, bad=False))
        draft.label = draft.label or label
        draft.group = draft.group or sys.intern(row.group or "") or draft.image_id
        if row.caption is None:
            continue
        caption = " ".join(unicodedata.normalize("NFC", row.caption).split())
        reason = _unfit(caption) or (
            "caption given twice" if draft.has(caption, row.number) else ""
        )
        if reason:
            problems.append(Problem(key, reason, row.where, bad=False))
        else:
            draft.captions += (caption,)
            draft.numbers += (row.number,)
    return drafts


def one_line(label: str) -> str:
    r"""Return a label as a file with a label a line can hold it.

    >>> one_line(" so\n so ")
    'so so'
    """
    return " ".join(label.split())


def _unfit(caption: str) -> str:
    """Return why a caption cannot be used; "" where it can."""
    if HALF_PAIR.search(caption):
        return "caption is not Unicode: half a surrogate pair"
    # The cheap tests first: hundreds of thousands of captions come by.
    if not any(map(str.isalnum, caption)) and not tokenize(caption):
        return "caption without words"
    if len(caption) > MAX_WORDS and (words := len(tokenize(caption))) > MAX_WORDS:
        return f"caption too long: {words} words, at most {MAX_WORDS}"
    return ""


def _leave_out(
    drafts: dict[str, _Draft], pictures: Pictures, problems: list[Problem], notes: list[str]
) -> dict[str, _Draft]:
    """Return what a distributor's lists ask for and a copy has; say in a line what goes."""
    listed = {key: draft for key, draft in drafts.items() if draft.split}
    if others := len(drafts) - len(listed):
        notes.append(f"{others:,} {pictures.kind}s are in no split list: left out")
    test = {key for key, draft in listed.items() if draft.split == "test"}
    if test and not any(key in pictures.files for key in test):
        notes.append(f"none of the {len(test):,} test {pictures.kind}s is here: no test split")
        listed = {key: draft for key, draft in listed.items() if key not in test}
    return listed


def _unusable(key: str, draft: _Draft, pictures: Pictures, declared: bool) -> str:
    """Return why a picture cannot be used; "" where it can."""
    if key not in pictures.files:
        path = PurePosixPath(key)
        if path.is_absolute() or ".." in path.parts or key.partition("/")[0].endswith(":"):
            return f"outside {pictures.root.name}: name {pictures.kind}s relative to it"
        return "missing"
    if not draft.captions and not draft.label:
        return pictures.untold
    return "" if draft.split or not declared else "without a split, which others have"


def _untold(drafts: Mapping[str, _Draft], pictures: Pictures) -> list[Problem]:
    """Name the files of which no row tells, nor of a part of theirs."""
    told = {pictures.files[key] for key in drafts if key in pictures.files}
    return [
        Problem(key, pictures.untold, pictures.root.name)
        for key, place in pictures.files.items()
        if place not in told and os.path.splitext(place)[1].lower() in pictures.suffixes
    ]


def _check_splits(listing: Listing, kind: str) -> None:
    counts = defaultdict[str, int](int)
    for entry in listing.entries:
        counts[entry.split] += 1
    if counts["train"] and counts["validation"]:
        return
    if len(listing.entries) < 2:
        raise UserError(
            f"{len(listing.entries)} usable {kind}(s): at least two are needed, one to train on "
            "and one to validate with" + _first_problem(listing)
        )
    empty = "validation" if counts["train"] else "train"
    raise UserError(
        f"no usable {kind} in the {empty} split (there are {dict(counts)}): name it in the "
        "split lists or the split column" + _first_problem(listing)
    )


def _first_problem(listing: Listing) -> str:
    if not listing.problems:
        return ""
    first = listing.problems[0]
    return f". The first of {len(listing.problems)} problems: {first.file}: {first.reason}"


def _some(names: Iterable[str], most: int = 3) -> str:
    shown = sorted(names)
    return ", ".join(map(repr, shown[:most])) + (", …" if len(shown) > most else "") or "no files"
