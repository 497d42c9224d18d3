"""Whether a file is the same as before: by its name, size and times, or by its content."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any


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
