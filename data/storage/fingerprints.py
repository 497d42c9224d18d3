"""Whether a file is the same as before: by its name, size and times, or by its content."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from data.annotations.entries import Entry
from data.common.files import atomic_write

CHUNK = 1024  # files submitted at once: each submission takes a kilobyte
STATE_BYTES, DIGEST_BYTES = 16, 32


def file_state(path: Path) -> bytes:
    """Return 16 bytes that change when a file does: a hash of its path, size and times."""
    state: list[Any] = [str(path.absolute())]
    try:
        file = path.stat()
        state += [file.st_size, file.st_mtime_ns, file.st_ctime_ns]
    except OSError as error:  # reported when the file is read
        state.append(error.errno)
    return hashlib.blake2b(json.dumps(state).encode(), digest_size=16).digest()


def file_digest(path: Path) -> str | int | None:
    """Return a file's SHA-256 in hex, or the errno with which it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        return error.errno


def hash_entries(
    entries: Sequence[Entry], known: Path | None
) -> list[tuple[bytes | int | None, bytes | None]]:
    """Return the SHA-256 and the state of each entry's file.

    Files that have not changed since last time are not read.

    Args:
        entries: those without a file have no `relative_path`.
        known: a file with the results of the last call; it is updated.

    Returns:
        The digest, or an errno if the file cannot be read, and its state; None without a file.
    """
    before = read_records(known, STATE_BYTES, DIGEST_BYTES)

    def hashes(entry: Entry) -> tuple[bytes | int | None, bytes | None]:
        if not entry.relative_path:
            return None, None
        state = file_state(entry.path)
        digest = before.get(state) or file_digest(entry.path)
        return bytes.fromhex(digest) if isinstance(digest, str) else digest, state

    found = list[tuple[bytes | int | None, bytes | None]]()
    with ThreadPoolExecutor(os.cpu_count()) as pool:  # reading and hashing free Python's lock
        for start in range(0, len(entries), CHUNK):
            found += pool.map(hashes, entries[start : start + CHUNK])
    digests = {state: digest for digest, state in found if state and isinstance(digest, bytes)}
    if known and digests != before:
        write_records(known, digests)
    return found


def read_records(path: Path | None, key: int, value: int) -> dict[bytes, bytes]:
    """Return what `write_records` has written, with keys and values of so many bytes."""
    data, size = path.read_bytes() if path and path.exists() else b"", key + value
    records = (data[start : start + size] for start in range(0, len(data), size))
    return {record[:key]: record[key:] for record in records}


def write_records(path: Path, records: Mapping[bytes, bytes]) -> None:
    """Write pairs of bytes, each key and each value as long as the others."""
    with atomic_write(path, "wb") as file:
        file.writelines(key + value for key, value in records.items())
