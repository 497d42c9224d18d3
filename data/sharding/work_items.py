"""Work items: the entries of a source with hashes of their files; duplicates are removed."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from data.annotations.entries import Entry, Problem
from data.annotations.problems import duplicate_problem
from data.common.files import atomic_write
from data.storage.fingerprints import hash_entries

DIGESTS = "digests"  # the file with states and digests of hashed files


class Item(NamedTuple):
    """An entry and the state of its file.

    Attributes:
        entry: as the source lists it.
        digest: SHA-256 of its file; an errno if it cannot be read; None if it has no file.
        file_state: of the file when it was hashed; see `file_state`.
    """

    entry: Entry
    digest: bytes | int | None
    file_state: bytes | None

    def to_json(self) -> list[Any]:
        """Return what `read_items` reads."""
        return [each.hex() if isinstance(each, bytes) else each for each in self]


def hash_files(entries: Sequence[Entry], known: Path) -> list[Item]:
    """Return the work items of entries: see `hash_entries`."""
    return [
        Item(entry, *hashes)
        for entry, hashes in zip(entries, hash_entries(entries, known), strict=True)
    ]


class _FirstItems(dict[Any, Item]):
    """The first item of each key that occurs more than once; others take no memory."""

    def __init__(self, keys: Iterable[Any]) -> None:
        hashes = np.sort(np.fromiter(map(hash, keys), np.int64))
        self._again = set(hashes[1:][hashes[1:] == hashes[:-1]].tolist())

    def first(self, key: Any, item: Item) -> Item:
        """Return the first item that had this key, which may be the given one."""
        return self.setdefault(key, item) if hash(key) in self._again else item


def remove_duplicates(
    items: Iterable[Item], kind: str, is_usable: Callable[[Entry], bool] = lambda entry: True
) -> tuple[list[Item], list[Problem]]:
    """Remove items with the same id, or with the same file if `duplicate_problem` gives a problem.

    A duplicate across splits stays in the test split, else in validation. Names that differ only in
    case are kept and reported: many file systems treat them as one file.

    Args:
        items: of all splits.
        kind: the noun for an example in messages: "image".
        is_usable: whether an example can be decoded. If not, its duplicates are kept, so that each
            is reported as undecodable.
    """
    usable = functools.cache(is_usable)
    kept: list[Item] = []
    problems: list[Problem] = []
    rank = {"test": 0, "validation": 1}
    ordered = sorted(items, key=lambda item: rank.get(item.entry.split, 2))
    ids = _FirstItems(item.entry.image_id for item in ordered)
    contents = _FirstItems(filter(None, map(_content, ordered)))
    folded = _FirstItems(item.entry.file.casefold() for item in ordered)
    for item in ordered:
        entry = item.entry
        first = ids.first(entry.image_id, item)
        if first is not item:
            reason = f"id given twice: {entry.image_id!r} is {first.entry.file} (kept) as well"
            problems.append(Problem(entry.file, reason, entry.where))
            continue
        if found := _content(item):
            same = contents.first(found, item).entry
            problem = duplicate_problem(entry, same, kind)
            if problem and usable(same):
                problems.append(problem)
                continue
        other = folded.first(entry.file.casefold(), item).entry.file
        if other != entry.file:
            reason = f"differs only in case: from {other}"
            problems.append(Problem(entry.file, reason, entry.where, bad=False))
        kept.append(item)
    return kept, problems


def _content(item: Item) -> tuple[bytes, float, float | None] | None:
    """Return what identifies the content of an item: its file, and which part of a clip."""
    entry, digest = item.entry, item.digest
    return (digest, entry.start, entry.end) if isinstance(digest, bytes) else None


def write_items(path: Path, split: str, items: Iterable[Item]) -> None:
    """Write the items of a shard."""
    with atomic_write(path) as file:
        json.dump([split, [item.to_json() for item in items]], file)


def read_items(path: Path) -> tuple[str, list[Item]]:
    """Return the split of a shard, and its items in the order of their hashes."""
    split, rows = json.loads(path.read_text(encoding="utf-8"))
    items = []
    for (image_id, file, relative_path, captions, *others), *hashes in rows:
        entry = Entry(image_id, file, relative_path, tuple(captions), *others)
        digest, state = (bytes.fromhex(it) if isinstance(it, str) else it for it in hashes)
        items.append(Item(entry, digest, state))
    return split, items
