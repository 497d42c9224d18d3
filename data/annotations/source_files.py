"""The files of a source: found by name, and read as text or JSON, with errors that name them."""

from __future__ import annotations

import gzip
import json
import re
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from data.common.errors import UserError

PACKED = ("", ".gz")  # what may follow the name of a text file
HALF_SURROGATE = re.compile("[\ud800-\udfff]")  # JSON can spell half a pair, UTF-8 cannot


def check_folder(source: Path) -> None:
    """Raise a UserError unless `source` is a folder with something in it."""
    if not source.exists():
        above = next(folder for folder in source.absolute().parents if folder.exists())
        raise UserError(f"no such folder: {source} ({above} holds {_content(above)})")
    if not source.is_dir():
        packed = source.suffix.lower() in (".zip", ".tar", ".gz", ".tgz", ".7z", ".rar")
        advice = "unpack it first" if packed else "name the folder that holds it"
        raise UserError(f"{source} is a file, not a folder: {advice}")
    if not any(source.iterdir()):
        raise UserError(f"{source} is empty")


def find(source: Path, names: Sequence[str], *, folder: bool = False) -> Path | None:
    """Return the first of `names` that is in `source` or in a folder of it; None: none is."""
    for name in names:
        for path in (source / name, *sorted(source.glob(f"*/{name}"))):
            if path.is_dir() if folder else path.is_file():
                return path
    return None


def require(source: Path, what: str, names: Sequence[str], *, folder: bool = False) -> Path:
    """Return what `find` finds.

    Raises:
        UserError: with what was looked for and what is there, if it finds nothing.
    """
    path = find(source, names, folder=folder)
    if path is None:
        raise nothing_found(source, what, [name + "/" * folder for name in names])
    return path


def nothing_found(source: Path, what: str, looked_for: Sequence[str]) -> UserError:
    """Return the error for a file or folder that is missing."""
    return UserError(
        f"no {what} in {source}: looked for {', '.join(looked_for)}; found {_content(source)}"
    )


def find_one(source: Path, what: str, names: Sequence[str]) -> Path | None:
    """Return the one of these files that is in `source`; None: none is.

    Raises:
        UserError: if there are several.
    """
    found = [source / name for name in names if (source / name).is_file()]
    if len(found) > 1:
        raise UserError(
            f"{source} has {' and '.join(path.name for path in found)}: keep one {what}"
        )
    return found[0] if found else None


def _content(folder: Path) -> str:
    names = sorted(path.name + "/" * path.is_dir() for path in folder.iterdir())
    more = f" and {len(names) - 8:,} more" if len(names) > 8 else ""
    return ", ".join(names[:8]) + more or "nothing"


def read_text(path: Path) -> str:
    """Read a UTF-8 file, with or without byte order mark; a .gz is unpacked.

    Raises:
        UserError: naming the line, where a byte is not UTF-8; if a .gz is damaged.
    """
    data = path.read_bytes()
    if path.suffix == ".gz":
        try:
            data = gzip.decompress(data)
        except (OSError, EOFError, zlib.error) as error:
            raise UserError(f"{path} cannot be unpacked: {error or 'it is cut short'}") from None
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        kind = "UTF-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "not UTF-8"
        raise UserError(
            f"{path}, line {line}: {kind} (byte 0x{data[error.start]:02x}); save it as UTF-8"
        ) from None


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        UserError: if it is not JSON (with the line), too deep, or has too long a number.
    """
    text = read_text(path)
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise UserError(f"{path}, line {error.lineno}: not JSON: {error.msg}") from None
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: unreadable JSON: {error}") from None


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the lines that are not blank, with their numbers from 1."""
    # str.splitlines would also split at U+2028.
    for number, line in enumerate(read_text(path).split("\n"), 1):
        if line.strip():
            yield number, line.rstrip("\r")


def matching_lines(
    path: Path, pattern: str, expected: str, *, header: bool = False
) -> Iterator[tuple[str, re.Match[str]]]:
    """Yield file and line ("list.txt:3"), and the match, of each line that is not blank.

    Args:
        path: a text file.
        pattern: a regular expression for a whole line.
        expected: an example of such a line, for the error.
        header: whether the first line may be one that does not match; it is skipped.

    Raises:
        UserError: for a line that does not match.
    """
    compiled = re.compile(pattern)
    for number, line in read_lines(path):
        if match := compiled.fullmatch(line):
            yield f"{path.name}:{number}", match
        elif number > 1 or not header:
            raise UserError(f"{path}, line {number}: not {expected!r}: {line!r:.80}")


def parallel_lines(one: Path, other: Path, rule: str) -> Iterator[tuple[int, str, str]]:
    """Yield the number from 1, and the line of each of two parallel files.

    Raises:
        UserError: with both counts and the `rule`, where they have different numbers of lines.
    """
    # Blank lines count: lines correspond by their numbers.
    lines, others = (read_text(path).removesuffix("\n").split("\n") for path in (one, other))
    if len(lines) != len(others):
        raise UserError(
            f"{one.name} has {len(lines):,} lines, {other.name} has {len(others):,}: {rule} "
            f"line by line (in {one.parent})"
        )
    yield from zip(range(1, len(lines) + 1), lines, others, strict=True)
