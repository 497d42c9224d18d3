"""The records of delimited files, CSV and TSV, read as a stream."""

from __future__ import annotations

import csv
import itertools
import re
from collections.abc import Iterator
from pathlib import Path

from data.annotations.source_files import open_text
from data.common.errors import UserError

# The csv module's own limit is 131,072 characters; readers limit the length of captions.
csv.field_size_limit(2**31 - 1)


def read_tabs(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield the lines that are not blank, divided at tabs, with their numbers from 1."""
    with open_text(path, "\n") as stream:
        for number, line in enumerate(stream, 1):
            if line.strip():
                yield number, line.rstrip("\r\n").split("\t")


def sniff(path: Path) -> tuple[str, int]:
    """Return the delimiter (comma, semicolon, tab or bar), and how many lines to skip.

    A first line "sep=;", as Excel writes it, names the delimiter.
    """
    with open_text(path, "") as stream:
        for number, line in enumerate(stream, 1):
            if match := re.fullmatch(r'"?sep=(.)"?[;,]*\s*', line, re.IGNORECASE):
                return match[1], number
            if line.strip():
                return max(",;\t|", key=line.count), 0
    return ",", 0


def read_csv(path: Path, delimiter: str, skip: int) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows that are not blank, with their first lines."""
    with open_text(path, "") as stream:
        lines = itertools.islice(stream, skip, None)
        spaces = delimiter != "\t"  # between a comma and a quote
        reader = csv.reader(lines, delimiter=delimiter, strict=True, skipinitialspace=spaces)
        end = skip
        try:
            for cells in reader:
                number, end = end + 1, skip + reader.line_num
                if any(map(str.strip, cells)):
                    yield number, cells
        except csv.Error as error:
            line = skip + reader.line_num
            raise UserError(
                f'{path}, line {line}: {error}; inside a quoted field write " as ""'
            ) from None


def without_blank_end(cells: list[str], width: int) -> list[str]:
    """Return cells without blank ones after the first `width`: rows may end in a delimiter."""
    while len(cells) > width and not cells[-1].strip():
        cells = cells[:-1]
    return cells
