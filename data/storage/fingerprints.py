"""Whether a file is the same as before: by its name, size and times, or by its content."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any


def stamp(path: Path) -> list[Any]:
    """Return path, size and times of a file, which change when the file does."""
    try:
        file = path.stat()
    except OSError as error:  # reported when the file is read
        return [str(path.absolute()), error.errno]
    return [str(path.absolute()), file.st_size, file.st_mtime_ns, file.st_ctime_ns]


def mark(path: Path) -> bytes:
    """Return a hash of a file's `stamp`, 16 bytes."""
    return hashlib.blake2b(json.dumps(stamp(path)).encode(), digest_size=16).digest()


def content(path: Path) -> str | int | None:
    """Return a file's SHA-256 in hex, or the errno with which it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        return error.errno
