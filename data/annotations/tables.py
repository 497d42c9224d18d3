"""Finding and reading the files of a source, with errors that say what was looked for."""

from __future__ import annotations

import csv
import gzip
import io
import json
import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from data.common.errors import UserError

# A long text is a matter of the dataset, which says what is too long, not of the file's format.
csv.field_size_limit(2**31 - 1)


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
    """Return the first of `names` that lies in `source` or a folder of it; None: none does."""
    for name in names:
        for path in (source / name, *sorted(source.glob(f"*/{name}"))):
            if path.is_dir() if folder else path.is_file():
                return path
    return None


def nothing_found(source: Path, what: str, looked_for: Sequence[str]) -> UserError:
    """Return the error for a file or folder that is not there."""
    return UserError(
        f"no {what} in {source}: looked for {', '.join(looked_for)}; found {_content(source)}"
    )


def _content(folder: Path, most: int = 8) -> str:
    names = sorted(path.name + "/" * path.is_dir() for path in folder.iterdir())
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more or "nothing"


def read_text(path: Path) -> str:
    """Read a UTF-8 file, with or without byte order mark; one named .gz is unpacked.

    Raises:
        UserError: naming the line, where a byte is not UTF-8; if a .gz is broken.
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
        UserError: naming the line, where it is not JSON; if it is nested, or a number long, beyond
            what Python reads.
    """
    text = read_text(path)
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise UserError(f"{path}, line {error.lineno}: not JSON: {error.msg}") from None
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: no JSON that can be read: {error}") from None


def lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the lines that are not blank, with their numbers from 1."""
    lines: Iterable[str] = read_text(path).split("\n")  # splitlines() also splits at U+2028
    for number, line in enumerate(lines, 1):
        if line.strip():
            yield number, line.rstrip("\r")


def find_split(path: Path, names: Sequence[str]) -> int | None:
    """Return the place of a table's column `split`; None: it has none.

    Raises:
        UserError: if it has several.
    """
    if names.count("split") > 1:
        raise UserError(
            f"{path}: its first line names {names.count('split')} columns split: keep one"
        )
    return names.index("split") if "split" in names else None


class Table(NamedTuple):
    """A CSV file: its first line, what separates its fields, and the place and cells of the rest.

    The place is that of the row's first line: "captions.csv:12". Rows without text are left out.
    """

    header: list[str]
    delimiter: str
    rows: Iterator[tuple[str, list[str]]]


def read_csv(path: Path) -> Table:
    """Read a file whose fields are separated by commas, semicolons or tabs.

    Raises:
        UserError: naming file and line, where it is not UTF-8 or not CSV; of a row, when it is
            its turn.
    """
    text = read_text(path)
    first = text.lstrip().partition("\n")[0]
    delimiter = max(",;\t", key=first.count)
    lines = io.TextIOWrapper(io.BytesIO(text.encode()), "utf-8", newline="")  # StringIO: 4 times it
    reader = csv.reader(lines, delimiter=delimiter, strict=True)

    def rows() -> Iterator[tuple[str, list[str]]]:
        end = 0
        try:
            for cells in reader:
                where, end = f"{path.name}:{end + 1}", reader.line_num
                if any(map(str.strip, cells)):
                    yield where, cells
        except csv.Error as error:
            raise UserError(
                f'{path}, line {reader.line_num}: {error}; inside a quoted field write " as ""'
            ) from None

    content = rows()
    return Table(next(content, ("", []))[1], delimiter, content)


PACKED = ("", ".gz")


def side_by_side(one: Path, other: Path, rule: str) -> Iterator[tuple[int, str, str]]:
    """Yield the lines of two files that go together: the number from 1, and what each has there.

    Raises:
        UserError: with both counts where these differ; `rule` says what they break.
    """
    lines, others = _all_lines(one), _all_lines(other)
    if len(lines) != len(others):
        raise UserError(
            f"{one.name} has {len(lines):,} lines, {other.name} has {len(others):,}: line by line "
            f"{rule} (in {one.parent})"
        )
    yield from zip(range(1, len(lines) + 1), lines, others, strict=True)


def _all_lines(path: Path) -> list[str]:
    """Return all lines, blank ones too: their number is what joins two files."""
    return read_text(path).removesuffix("\n").split("\n")
