"""The folder of prepared datasets, and messages on stderr."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from data.common.errors import UserError

TABLES = "tables"  # the folder of the rows that models read; other folders are of datasets


def data_home(data_dir: Path | str | None = None) -> Path:
    """Return the folder of prepared data: `data_dir`, else WORDREEL_DATA_DIR, else a cache."""
    if data_dir is None:
        data_dir = os.environ.get("WORDREEL_DATA_DIR") or None
    if data_dir is None:
        cache = "~/Library/Caches" if sys.platform == "darwin" else "~/.cache"
        data_dir = Path(os.environ.get("XDG_CACHE_HOME") or cache) / "wordreel"
    return Path(data_dir).expanduser().absolute()


def mark_used(folder: Path) -> None:
    """Set the time of a folder of the cache, which `wordreel cache` shows as its last use."""
    with contextlib.suppress(OSError):  # it may be of another user
        os.utime(folder)


def source_cache(home: Path, name: str, source: Path | None) -> Path:
    """Return the beginning of the names of files about the source of a dataset."""
    key = json.dumps([name, str(source and source.absolute())])
    return home / "digests" / hashlib.sha256(key.encode()).hexdigest()[:16]


@contextlib.contextmanager
def writing_to(home: Path) -> Iterator[None]:
    """Turn a failed write into a UserError that names the folder and the remedy."""
    try:
        yield
    except OSError as error:
        raise UserError(
            f"cannot write the prepared dataset in {home}: {error.strerror or error}. Free some "
            "space, or name another folder with the environment variable WORDREEL_DATA_DIR"
        ) from error


def log(line: str) -> None:
    """Print a line on stderr, where it does not mix with results."""
    print(line, file=sys.stderr, flush=True)
