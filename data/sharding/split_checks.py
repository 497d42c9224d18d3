"""Overlaps between splits: files, near-duplicates, groups and sets of captions."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np

from data.annotations.entries import Entry
from data.annotations.splits import text_key
from data.common.errors import UserError
from data.media.similarity import NEAR, hash_file, near_pairs
from data.storage.fingerprints import file_digest


class Leak(NamedTuple):
    """Two examples of different splits that are too similar.

    Attributes:
        kind: "same file", "near duplicate", "same group", "same captions".
        first: the one in the test split, else the one in validation.
        second: the other.
        detail: how similar they are, or what they share.
    """

    kind: str
    first: Entry
    second: Entry
    detail: str

    def __str__(self) -> str:
        """Describe the pair in a line."""
        first, second = self.first, self.second
        return (
            f"{self.kind}: {first.file} ({first.split}) and {second.file} ({second.split})"
            f"{': ' * bool(self.detail)}{self.detail}"
        )


def find_leaks(
    entries: Sequence[Entry], *, near: int = NEAR, bar: Any | None = None
) -> tuple[list[Leak], list[Entry]]:
    """Compare every split with every other.

    Args:
        entries: of a source; those without a file are compared by captions and groups only.
        near: images are near duplicates if at most this many of the 64 bits of their hashes differ.
        bar: a progress bar, updated for each.

    Returns:
        The pairs, the most certain first, each once; and the entries that cannot be read.
    """
    order = {"test": 0, "validation": 1}
    entries = sorted(entries, key=lambda entry: order.get(entry.split, 2))
    hashes = dict(zip(entries, _hashes(entries, bar), strict=True))
    readable = {entry: both for entry, both in hashes.items() if both}
    bits = np.array([bits for _, bits in readable.values()], np.uint64)
    found = [
        *_shared("same file", readable, lambda each: (readable[each][0], each.start, each.end)),
        *_near(list(readable), bits, near),
        *_shared("same group", entries, lambda each: each.group),
        *_shared("same captions", entries, lambda each: frozenset(map(text_key, each.captions))),
    ]
    pairs: dict[frozenset[str], Leak] = {}
    for leak in found:
        pairs.setdefault(frozenset((leak.first.image_id, leak.second.image_id)), leak)
    unreadable = [each for each in entries if each.relative_path and each not in readable]
    return list(pairs.values()), unreadable


def _hashes(entries: Sequence[Entry], bar: Any | None) -> list[tuple[str | int | None, int] | None]:
    """Return the digest and the perceptual hash (0: empty) of each file; None: unreadable."""

    def hashes(entry: Entry) -> tuple[str | int | None, int] | None:
        try:
            if not entry.relative_path:
                return None
            found = file_digest(entry.path), hash_file(entry.path, entry.start, entry.end)
        except (UserError, OSError):
            found = None
        if bar is not None:
            bar.update()
        return found

    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        return list(pool.map(hashes, entries))


def _shared(
    kind: str, entries: Iterable[Entry], key: Callable[[Entry], Hashable]
) -> Iterator[Leak]:
    """Yield pairs in different splits with the same key: the first entry and each later one."""
    by_key: dict[Hashable, list[Entry]] = defaultdict(list)
    for entry in entries:
        if value := key(entry):
            by_key[value].append(entry)
    for value, alike in by_key.items():
        first = alike[0]
        for entry in alike[1:]:
            if entry.split != first.split:
                detail = value if isinstance(value, str) and kind == "same group" else ""
                yield Leak(kind, first, entry, detail)


def _near(entries: Sequence[Entry], hashes: np.ndarray, near: int) -> list[Leak]:
    """Return pairs in different splits whose hashes differ in few bits, the nearest first."""
    splits = np.array([entry.split for entry in entries])
    return [
        Leak("near duplicate", entries[a], entries[b], f"{bits} of 64 bits differ")
        for bits, a, b in sorted(near_pairs(hashes, near))
        if splits[a] != splits[b]
    ]
