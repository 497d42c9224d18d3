"""Annotation tables: where they are, and the records of CSV, TSV and JSON files, as a stream."""

from __future__ import annotations

import csv
import itertools
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from data.annotations.source_files import open_text, read_json, visible
from data.annotations.splits import SPLITS
from data.common.errors import UserError

JSON = (".jsonl", ".ndjson", ".json")
SUFFIXES = (".csv", ".tsv", ".txt", *JSON)  # of tables, each also with .gz

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


def read_json_records(path: Path, pair: Sequence[str]) -> Iterator[tuple[int, Any]]:
    """Yield the objects of a JSON file, with their numbers.

    Args:
        path: JSON lines, or one JSON value: a list of objects, an object of columns as pandas
            writes it, or an object of pairs: {"a.jpg": "a dog"}.
        pair: the names of the two columns of such pairs.
    """
    if suffix_of(path) == ".json" and not has_json_lines(path):
        content = read_json(path)
        if isinstance(content, dict) and all(isinstance(each, dict) for each in content.values()):
            numbers = dict.fromkeys(number for each in content.values() for number in each)
            content = [{key: content[key].get(number) for key in content} for number in numbers]
        elif isinstance(content, dict):
            content = [dict(zip(pair, item, strict=False)) for item in content.items()]
        if not isinstance(content, list):
            raise UserError(f"{path}: not a list of JSON objects")
        yield from enumerate(content, 1)
        return
    with open_text(path, "\n") as stream:
        for number, line in enumerate(stream, 1):
            if line.strip():
                try:
                    yield number, json.loads(line)
                except (ValueError, RecursionError) as error:
                    raise UserError(f"{path}, line {number}: not JSON: {error}") from None


def has_json_lines(path: Path) -> bool:
    """Return whether a file has several lines, of which the first is a JSON object."""
    with open_text(path, "\n") as stream:
        first, second = stream.readline().strip(), stream.readline().strip()
    try:
        return bool(second) and isinstance(json.loads(first), dict)
    except (ValueError, RecursionError):
        return False


def suffix_of(path: Path) -> str:
    """Return the suffix before .gz, in lower case."""
    return Path(path.name.removesuffix(".gz")).suffix.lower()


def find_tables(
    source: Path, what: str, names: Sequence[str], splits: Mapping[str, str] = SPLITS
) -> list[tuple[Path, str | None]]:
    """Return the tables of a source, and the split that the name of each gives.

    These are the tables of some names, else one for each split, else the only table there is.

    Args:
        source: the folder; if no table is in it, in a folder of it.
        what: the noun for the table in messages.
        names: of tables, without suffix: "captions".
        splits: the split of each further name.

    Raises:
        UserError: if several tables have one of `names`.
    """
    for folder in (source, *filter(Path.is_dir, visible(source))):
        tables = dict[str, list[Path]]()
        for path in visible(folder):
            if suffix_of(path) in SUFFIXES and path.is_file():
                stem = path.name.removesuffix(".gz")[: -len(suffix_of(path))]
                tables.setdefault(stem.lower(), []).append(path)
        for same in (tables.get(name, []) for name in names):
            if len(same) > 1:
                listed = " and ".join(path.name for path in same)
                raise UserError(f"{folder} has {listed}: keep one {what}")
        if named := [path for name in names for path in tables.get(name, [])]:
            return [(path, None) for path in named]
        others = [(name, path) for name, same in tables.items() for path in same if _is_table(path)]
        known = [name for name in splits if name in dict(others)]
        if known:
            first = {splits[name]: dict(reversed(others))[name] for name in reversed(known)}
            return [(first[split], split) for split in dict.fromkeys(splits[n] for n in known)]
        if len(others) == 1:
            return [(others[0][1], None)]
    return []


def _is_table(path: Path) -> bool:
    """Return whether a file of another name is a table: no readme, no other JSON."""
    if suffix_of(path) not in (".txt", ".json"):
        return True
    with open_text(path, "\n") as stream:
        first = stream.readline()
    return "\t" in first if suffix_of(path) == ".txt" else first[:1] == "[" or has_json_lines(path)
