"""Items: what examples are made of. Their files are hashed, and what comes twice is left out.

A job holds every item of a source until its shards are planned; then they lie in files, `KEY.items`
of each shard.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from data.annotations.entries import Entry, Problem
from data.annotations.problems import repeats
from data.common.files import atomic_write
from data.storage.fingerprints import content, mark

CHUNK = 1024  # files to hash that are asked for at once: each request takes a kilobyte
DIGESTS = "digests"  # a file of the marks and digests of files that were hashed
_MARK, _DIGEST = 16, 32  # their bytes


class Item(NamedTuple):
    """What an example is made of.

    Attributes:
        entry: as a source lists it.
        digest: SHA-256 of its file; an errno where it cannot be read; None where it has no file.
        mark: of the file when it was hashed: changes when it does.
    """

    entry: Entry
    digest: bytes | int | None
    mark: bytes | None

    def to_json(self) -> list[Any]:
        """Return what `from_json` reads."""
        return [each.hex() if isinstance(each, bytes) else each for each in self]

    @classmethod
    def from_json(cls, values: Sequence[Any]) -> Item:
        """Read what `to_json` returned."""
        image_id, file, place, captions, *others = values[0]
        digest, mark = (bytes.fromhex(it) if isinstance(it, str) else it for it in values[1:])
        return cls(Entry(image_id, file, place, tuple(captions), *others), digest, mark)


def hashed(entries: Sequence[Entry], known: Path) -> list[Item]:
    """Read the entries' files, but for those that have been read before, and hash them.

    Args:
        entries: those without a file have no `place`.
        known: a file that says what was found the last time; it is written anew.
    """
    before = _read_digests(known) if known.exists() else {}

    def item(entry: Entry) -> Item:
        if not entry.place:
            return Item(entry, None, None)
        now = mark(entry.path)
        return Item(entry, before.get(now) or _digest(entry.path), now)

    items: list[Item] = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:  # reading and hashing free Python's lock
        for start in range(0, len(entries), CHUNK):
            items += pool.map(item, entries[start : start + CHUNK])
    with atomic_write(known, "wb") as file:
        for _, digest, now in items:
            if now and isinstance(digest, bytes):
                file.write(now + digest)
    return items


def _read_digests(known: Path) -> dict[bytes, bytes]:
    """Return what `hashed` wrote: a file's mark → its digest."""
    data, size = known.read_bytes(), _MARK + _DIGEST
    records = (data[start : start + size] for start in range(0, len(data), size))
    return {record[:_MARK]: record[_MARK:] for record in records}


def _digest(path: Path) -> bytes | int | None:
    found = content(path)
    return bytes.fromhex(found) if isinstance(found, str) else found


class _Firsts(dict[Any, Item]):
    """The first item of each key; of a key that comes once, as most do, nothing is kept."""

    def __init__(self, keys: Iterable[Any]) -> None:
        hashes = np.sort(np.fromiter(map(hash, keys), np.int64))
        self._again = set(hashes[1:][hashes[1:] == hashes[:-1]].tolist())

    def of(self, key: Any, item: Item) -> Item:
        """Return the first item that came with this key: this one, where none did."""
        return self.setdefault(key, item) if hash(key) in self._again else item


def sort_out(items: Iterable[Item], kind: str) -> tuple[list[Item], list[Problem]]:
    """Leave out what would be there twice: the same id, or the same file as `repeats` tells.

    Names that differ only in case are kept and told: on many other disks they are one file.
    """
    kept: list[Item] = []
    problems: list[Problem] = []
    rank = {"test": 0, "validation": 1}
    ordered = sorted(items, key=lambda item: rank.get(item.entry.split, 2))
    ids = _Firsts(item.entry.image_id for item in ordered)
    contents = _Firsts(filter(None, map(_shown, ordered)))
    folded = _Firsts(item.entry.file.casefold() for item in ordered)
    for item in ordered:
        entry = item.entry
        first = ids.of(entry.image_id, item)
        if first is not item:
            reason = f"id given twice: {entry.image_id!r} is {first.entry.file} (kept) as well"
            problems.append(Problem(entry.file, reason, entry.where))
            continue
        if shown := _shown(item):
            same = contents.of(shown, item).entry
            if problem := repeats(entry, same, kind):
                problems.append(problem)
                continue
        other = folded.of(entry.file.casefold(), item).entry.file
        if other != entry.file:
            reason = f"differs only in case: from {other}"
            problems.append(Problem(entry.file, reason, entry.where, bad=False))
        kept.append(item)
    return kept, problems


def _shown(item: Item) -> tuple[bytes, float, float | None] | None:
    """Return what identifies the content of an item: its file, and which part of a clip."""
    entry, digest = item.entry, item.digest
    return (digest, entry.start, entry.end) if isinstance(digest, bytes) else None


def write_items(path: Path, split: str, items: Iterable[Item]) -> None:
    """Write what a shard is made of."""
    with atomic_write(path) as file:
        json.dump([split, [item.to_json() for item in items]], file)


def read_items(path: Path) -> tuple[str, list[Item]]:
    """Return the split of a shard and its items, in the order of their hashes, from its file."""
    split, values = json.loads(path.read_text(encoding="utf-8"))
    return split, [Item.from_json(value) for value in values]
