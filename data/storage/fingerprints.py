"""What a source holds, as a few digits: the same content is prepared once, wherever it lies."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

from data.annotations.entries import Listing
from data.common.files import atomic_write


def fingerprint_of(listing: Listing, options: Sequence[Any], known: Path) -> str:
    """Hash all that decides what is stored: names, captions, labels, splits, problems, every file.

    Times of files do not count: a folder that was copied, unpacked again or mounted elsewhere is
    the dataset it was, and neither it nor its features are computed anew, which takes minutes to
    hours. Names and sizes alone would not do: a picture that was turned by its EXIF, or a BMP that
    was painted over, keeps its size. So the pictures are read, as fast as the disk gives them
    (a few seconds for 8,000 photos, 1 GB; a minute or so for 120,000, 19 GB): once for each copy,
    for what was found is noted under a hash of paths, sizes and times, which costs a run no more
    than asking the system for them.

    Args:
        listing: the pictures.
        options: further choices that decide what is stored; JSON.
        known: the folder of those notes.

    Returns:
        16 hex digits.

    Raises:
        OSError: if the note cannot be written.
    """
    paths = [entry.path for entry in listing.entries]
    note = known / _digest(listing, options, map(stamp, paths))
    if note.is_file():
        return note.read_text()
    with ThreadPoolExecutor(os.cpu_count()) as pool:  # reading and hashing free Python's lock
        fingerprint = _digest(listing, options, pool.map(content, paths))
    with atomic_write(note) as file:
        file.write(fingerprint)
    return fingerprint


def _digest(listing: Listing, options: Sequence[Any], pictures: Iterable[Any]) -> str:
    digest = hashlib.sha256(json.dumps(options).encode())
    for entry, picture in zip(listing.entries, pictures, strict=True):
        told = [entry.captions, entry.label, entry.group]
        digest.update(json.dumps([entry.image_id, entry.file, entry.split, told, picture]).encode())
    for problem in listing.problems:
        digest.update(json.dumps(asdict(problem)).encode())
    return digest.hexdigest()[:16]


def stamp(path: Path) -> list[Any]:
    """Return what tells a file from another, or from its past, without reading it."""
    try:
        file = path.stat()
    except OSError as error:  # who prepares the pictures names it
        return [str(path.absolute()), error.errno]
    return [str(path.absolute()), file.st_size, file.st_mtime_ns, file.st_ctime_ns]


def mark(path: Path) -> bytes:
    """Return a file's `stamp` as 16 bytes."""
    return hashlib.blake2b(json.dumps(stamp(path)).encode(), digest_size=16).digest()


def content(path: Path) -> str | int | None:
    """Return a file's SHA-256 in hex, or the errno with which it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        return error.errno
