"""`wordreel cache`: list prepared datasets and feature tables; remove them."""

from __future__ import annotations

import argparse
import datetime
import difflib
import fnmatch
import json
import re
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from filelock import FileLock, Timeout

from data.common.errors import UserError
from data.common.files import total_size
from data.storage.cache import TABLES, data_home
from data.storage.manifest import INFO
from pipelines.runtime.console import size_text, table
from pipelines.runtime.numbers import NON_NEGATIVE, add_number

HASH = "[0-9a-f]{16}"  # ends the names of tables and is the name of a prepared dataset
SUMMARY = "list the prepared datasets and feature tables on disk; remove them"


class Entry(NamedTuple):
    """A folder of the cache, which is computed again when it is missing."""

    name: str  # for `--clear`
    content: str
    path: Path
    lock: Path  # held by a process that writes the folder

    @property
    def used(self) -> float:
        """When the folder was last used: readers set its time."""
        return self.path.stat().st_mtime


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("--json", action="store_true", help="print one JSON object per entry")
    text = "remove an entry, or those that match a pattern such as 'tables/*'; without NAME, all"
    parser.add_argument("--clear", nargs="?", const="*", metavar="NAME", help=text)
    text = "with --clear: only entries that have not been used for N days"
    add_number(parser, "--older-than", float, NON_NEGATIVE, text)


def run(given: argparse.Namespace) -> int:
    """Print or remove the entries of the cache; return 1 if one is in use and was kept, else 0."""
    if given.older_than is not None and given.clear is None:
        raise UserError("--older-than requires --clear")
    home = data_home()
    entries = list(_entries(home))
    if given.clear is not None:
        return _clear(entries, given)
    rows = [["name", "content", "size", "last used"]]
    for entry in entries:
        size, used = total_size(entry.path), datetime.datetime.fromtimestamp(entry.used)
        rows.append([entry.name, entry.content, size_text(size), f"{used:%Y-%m-%d %H:%M}"])
        if given.json:
            when = used.astimezone().isoformat(timespec="seconds")
            record = {"name": entry.name, "content": entry.content, "path": str(entry.path)}
            print(json.dumps({**record, "bytes": size, "used": when}))
    if not given.json:
        print(f"{home}: {size_text(total_size(home))}")
        print(table(rows) if entries else "empty")
    return 0


def _entries(home: Path) -> Iterator[Entry]:
    """Yield the folders of the cache, by name; others, which are not of Wordreel, are left out."""
    for path in sorted([*home.glob("*"), *home.glob("*/*")]):
        name = str(path.relative_to(home))
        if not path.is_dir():
            continue
        if name in ("digests", "fingerprints"):
            yield Entry(name, "hashes of source files", path, path / ".lock")
        elif path.parent == home / TABLES and re.search(HASH + r"(\.partial)?$", name):
            lock = path.with_name(f".{path.name.removesuffix('.partial')}.lock")
            yield Entry(name, "table of model inputs", path, lock)
        elif path.parent != home and re.fullmatch(HASH, path.name):
            kind = "prepared dataset" if (path / INFO).exists() else "unfinished dataset or report"
            yield Entry(name, kind, path, path / ".work" / "lock")


def _clear(entries: list[Entry], given: argparse.Namespace) -> int:
    """Remove the chosen entries."""
    chosen = [each for each in entries if fnmatch.fnmatchcase(each.name, given.clear)]
    if not chosen and given.clear != "*":
        near = difflib.get_close_matches(given.clear, [each.name for each in entries], n=1)
        hint = f"did you mean {near[0]}?" if near else "wordreel cache lists the names"
        raise UserError(f"the cache has no entry {given.clear!r}: {hint}")
    latest = time.time() - (given.older_than or 0) * 24 * 3600
    total = kept = 0
    for entry in (each for each in chosen if each.used <= latest):
        size = total_size(entry.path)
        if _remove(entry):
            total += size
            print(f"removed {entry.name}, {size_text(size)}")
        else:
            kept += 1
            print(f"wordreel: {entry.name} is being written: it is kept", file=sys.stderr)
    print(f"{size_text(total)} removed")
    return int(kept > 0)


def _remove(entry: Entry) -> bool:
    """Remove an entry unless a process writes it; return whether it was removed."""
    if not entry.lock.exists():
        shutil.rmtree(entry.path)
        return True
    try:
        with FileLock(entry.lock, timeout=0, fallback_to_soft=False):
            shutil.rmtree(entry.path)
    except Timeout:
        return False
    return True
