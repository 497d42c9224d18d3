"""The content of images and clips, as far as it decides about automatic splits."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from data.annotations.balance import Example, components, content_key
from data.annotations.entries import Entry
from data.common.errors import UserError
from data.common.progress import progress
from data.storage.fingerprints import CHUNK, hash_entries, read_records, write_records

_KEY, _HASH = 16, 8  # bytes
_MOST = 1 / 3  # of the examples: a larger set of similar ones cannot be kept together


def media_examples(entries: Sequence[Entry], unit: str, cache: Path | None) -> list[Example]:
    """Return what decides the splits of images or clips: identical and similar ones are tied.

    Args:
        entries: with a file each.
        unit: the noun for several examples, for the progress bar.
        cache: the beginning of the names of files with earlier results; None: there are none.
    """
    digests = [digest for digest, _ in hash_entries(entries, cache)]
    keys = [
        content_key(f"{digest!r} {entry.start} {entry.end}")
        for digest, entry in zip(digests, entries, strict=True)
    ]
    near = _near_ties(entries, keys, unit, cache and cache.with_name(f"{cache.name}.hashes"))
    return [
        Example(key, entry.label, (("group", entry.group or entry.image_id), *ties))
        for key, entry, ties in zip(keys, entries, near, strict=True)
    ]


def _near_ties(
    entries: Sequence[Entry], keys: Sequence[bytes], unit: str, cache: Path | None
) -> list[list[int]]:
    """Return numbers that similar examples share; none where too many are similar."""
    import numpy as np

    from data.media.similarity import hash_file, near_pairs

    known = read_records(cache, _KEY, _HASH)
    new = {key: entry for key, entry in zip(keys, entries, strict=True) if key not in known}

    def hashed(entry: Entry) -> bytes:
        try:
            part = entry.start, entry.end, entry.place
            found = hash_file(entry.path, *part, clip=unit == "clips")
        except (UserError, OSError):
            found = 0  # reported when the example is stored
        return found.to_bytes(_HASH)

    todo = list(new.items())
    with (
        progress(len(new), f"comparing {unit}", unit) as bar,
        ThreadPoolExecutor(os.cpu_count()) as pool,
    ):
        for start in range(0, len(todo), CHUNK):
            part = todo[start : start + CHUNK]
            results = pool.map(hashed, (entry for _, entry in part))
            for (key, _), value in zip(part, results, strict=True):
                known[key] = value
                bar.update()
    if cache and new:
        write_records(cache, {key: known[key] for key in keys})
    bits = np.frombuffer(b"".join(known[key] for key in keys), ">u8").astype(np.uint64)
    ties: list[list[int]] = [[] for _ in entries]
    for _, first, second in near_pairs(bits):
        ties[first].append(first)
        ties[second].append(first)
    largest = max(map(len, components(ties)), default=0)
    return ties if largest <= max(2, _MOST * len(entries)) else [[] for _ in entries]
