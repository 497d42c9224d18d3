"""The files of a source: found by name, and read as text or JSON, with errors that name them."""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import re
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any, cast

from data.common.errors import UserError
from data.media.limits import LFS_POINTER

PACKED = ("", ".gz")  # what may follow the name of a text file
HALF_SURROGATE = re.compile("[\ud800-\udfff]")  # JSON can spell half a pair, UTF-8 cannot
HIDDEN = (".", "__MACOSX")  # beginnings of the names of files that nobody made
# Soft hyphen, marks of direction, joiners, byte order mark: copied together with a name or label.
INVISIBLE = re.compile("[\u00ad\u061c\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]")
_ESCAPED = re.compile("[\udc80-\udcff]")  # a byte that is not UTF-8, by "surrogateescape"
_ADVICE = dict.fromkeys((".xlsx", ".xls", ".ods", ".numbers"), "save {} as CSV (UTF-8)")
_ADVICE |= dict.fromkeys((".zip", ".gz", ".tgz", ".7z", ".rar"), "unpack {}")
_START = 4096  # bytes that decide about the encoding


def check_folder(source: Path) -> None:
    """Raise a UserError unless `source` is a folder with something in it."""
    if not source.exists():
        above = next(folder for folder in source.absolute().parents if folder.exists())
        raise UserError(f"no such folder: {source} ({above} holds {_content(above)})")
    if not source.is_dir():
        packed = (
            _ADVICE.get(source.suffix.lower(), "").startswith("unpack") or source.suffix == ".tar"
        )
        advice = "unpack it first" if packed else "name the folder that holds it"
        raise UserError(f"{source} is a file, not a folder: {advice}")
    if not any(source.iterdir()):
        raise UserError(f"{source} is empty")


def find(source: Path, names: Sequence[str], *, folder: bool = False) -> Path | None:
    """Return the first of `names` that is in `source` or in a folder of it; None: none is."""
    for name in names:
        for path in (source / name, *sorted(source.glob(f"*/{name}"))):
            hidden = path.parent != source and path.parent.name.startswith(HIDDEN)
            if not hidden and (path.is_dir() if folder else path.is_file()):
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
    text = f"no {what} in {source}: looked for {', '.join(looked_for)}; found {_content(source)}"
    for path in visible(source):
        if path.suffix.lower() in _ADVICE:
            text += f"; {_ADVICE[path.suffix.lower()].format(path.name)}"
    return UserError(text)


def visible(folder: Path) -> list[Path]:
    """Return what is in a folder, hidden files aside."""
    return sorted(path for path in folder.iterdir() if not path.name.startswith(HIDDEN))


def _content(folder: Path) -> str:
    names = sorted(path.name + "/" * path.is_dir() for path in folder.iterdir())
    more = f" and {len(names) - 8:,} more" if len(names) > 8 else ""
    return ", ".join(names[:8]) + more or "nothing"


def read_text(path: Path) -> str:
    """Read a text file: see `open_text`.

    Raises:
        UserError: naming the line, where a byte is not UTF-8; see `open_text`.
    """
    return "".join(_checked_lines(path, "\n"))


@contextlib.contextmanager
def open_text(path: Path, newline: str) -> Iterator[IO[str]]:
    r"""Open a text file as a stream: UTF-8 or UTF-16, with or without byte order mark, or a .gz.

    Args:
        path: the file.
        newline: "\n": lines end there only; "": also at \r, as the csv module wants it.

    Yields:
        The stream; bytes that are not UTF-8 become half surrogates: see `bad_byte`.

    Raises:
        UserError: if it is a pointer of Git LFS, or a damaged .gz.
    """
    packed = path.suffix == ".gz"
    try:
        with gzip.open(path) if packed else path.open("rb") as file:
            start = file.peek(_START)[:_START]
            if start.startswith(LFS_POINTER):
                raise UserError(f"{path} is a pointer of Git LFS, not the file: run `git lfs pull`")
            with io.TextIOWrapper(
                cast(IO[bytes], file), _encoding(start), "surrogateescape", newline
            ) as stream:
                yield stream
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise UserError(f"{path} cannot be unpacked: {error or 'it is cut short'}") from None
    except UnicodeDecodeError as error:  # UTF-16 with half a character
        raise UserError(f"{path}: not UTF-16 ({error.reason}); save it as UTF-8") from None


def _encoding(start: bytes) -> str:
    """Return the encoding of a file that starts with some bytes."""
    if start[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return "utf-16"
    # The ASCII characters of UTF-16 have a zero each, before or behind them.
    before, behind = start[::2].count(0), start[1::2].count(0)
    if max(before, behind) > max(2, len(start) // 50) and before != behind:
        return "utf-16-be" if before > behind else "utf-16-le"
    return "utf-8-sig"


def bad_byte(text: str) -> str:
    """Return what is wrong with text that is not UTF-8; "" if nothing is."""
    if text.isascii() or not (found := _ESCAPED.search(text)):
        return ""
    return f"not UTF-8 (byte 0x{ord(found[0]) - 0xDC00:02x}); save it as UTF-8"


def _checked_lines(path: Path, newline: str) -> Iterator[str]:
    """Yield all lines with their ends.

    Raises:
        UserError: naming the line that is not UTF-8.
    """
    with open_text(path, newline) as stream:
        for number, line in enumerate(stream, 1):
            if wrong := bad_byte(line):
                raise UserError(f"{path}, line {number}: {wrong}")
            yield line


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
    for number, line in enumerate(_checked_lines(path, "\n"), 1):
        if line.strip():
            yield number, line.rstrip("\r\n")


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
