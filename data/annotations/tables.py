r"""Annotation tables: CSV, TSV and JSON-lines files of images, clips, texts and translations.

A `Layout` declares the columns of a table; `read_table` finds the header and the delimiter:

>>> import tempfile
>>> layout = Layout({
...     "file": Column(("photo", "file"), required=True, filled=True),
...     "caption": Column(("comment",), kind="texts"),  # also comment_1, comment_2, …
...     "split": SPLIT,
... })
>>> path = Path(tempfile.mkdtemp()) / "comments.csv"
>>> _ = path.write_text("photo;comment_1;comment_2;split\na.jpg;A dog.;It runs.;dev\nb.jpg\n")
>>> row, problem = read_table(path, layout)
>>> row.get("file"), row.texts, row.split, row.where
('a.jpg', ('A dog.', 'It runs.'), 'validation', 'comments.csv:2')
>>> problem.where, problem.reason
('comments.csv:3', "wrong number of fields: 1, the first line has 4; quote text that holds ';'")
"""

from __future__ import annotations

import csv
import io
import itertools
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

from data.annotations.entries import Problem, Row
from data.annotations.source_files import HALF_SURROGATE, read_lines, read_text
from data.annotations.splits import SPLITS
from data.common.errors import UserError

# The csv module's own limit is 131,072 characters; readers limit the length of captions.
csv.field_size_limit(2**31 - 1)


@dataclass(frozen=True)
class Column:
    """A column of an annotation table.

    Attributes:
        names: accepted in the header, in lower case.
        required: whether the table must have it.
        filled: whether every row must have a value in it.
        kind: "name": a short value, such as a file, label or number. "text": free text. "texts":
            free text in one or several columns (caption, caption_1, …), in JSON also a list.
    """

    names: tuple[str, ...]
    required: bool = False
    filled: bool = False
    kind: Literal["name", "text", "texts"] = "name"

    def accepts(self, name: str) -> bool:
        """Return whether a name in the header, in lower case, is that of this column."""
        stem = re.sub(r"[ _-]?\d+$", "", name) if self.kind == "texts" else name
        return stem in self.names


@dataclass(frozen=True)
class Layout:
    """The columns of an annotation table, and what its dialect allows.

    Attributes:
        columns: role → column; the roles of images and clips are fields of `Row`.
        any_of: roles of which the table must have at least one.
        headerless: suffixes of tables that may lack a header: two columns, those declared first.
        raw_tsv: whether quotes in a .tsv are part of the text.
        ragged: whether rows may have more or fewer fields than the header.
    """

    columns: Mapping[str, Column]
    any_of: tuple[str, ...] = ()
    headerless: tuple[str, ...] = ()
    raw_tsv: bool = False
    ragged: bool = False

    def locate(self, names: Iterable[str]) -> dict[str, list[int]]:
        """Return role → indices of its columns, for the names of a header or a JSON object."""
        tidy = [name.strip().lower() for name in names]
        return {
            role: [index for index, name in enumerate(tidy) if column.accepts(name)]
            for role, column in self.columns.items()
        }

    def repeated(self, places: Mapping[str, Sequence[int]], names: Sequence[str]) -> str:
        """Return the error for two columns with one role; "" if there is none."""
        for role, found in places.items():
            if len(found) > 1 and self.columns[role].kind != "texts":
                some = ", ".join(repr(names[index]) for index in found)
                return f"{len(found)} columns {role} ({some}): keep one"
        return ""

    def missing(self, roles: Iterable[str]) -> str:
        """Return the error for required columns that are not in `roles`; "" if there is none."""
        found = set(roles)
        wanted = [(role,) for role, column in self.columns.items() if column.required]
        return "; ".join(
            f"no column {' or '.join(some)} "
            f"(name it {', '.join(name for role in some for name in self.columns[role].names)})"
            for some in (*wanted, self.any_of)
            if some and found.isdisjoint(some)
        )


FILE_NAMES = ("file", "filename", "file_name")
CAPTION = Column(("caption", "captions", "sentence", "text"), kind="texts")
LABEL = Column(("label", "class", "action"))
SPLIT = Column(("split",))


class TableRow(NamedTuple):
    """A row of an annotation table.

    Attributes:
        where: file and line: "captions.csv:12".
        values: role → value without surrounding spaces; "" where the row has none.
        texts: of the columns of kind "texts", those that are not blank.
        split: "train", "validation" or "test"; None where the row names none.
    """

    where: str
    values: Mapping[str, str]
    texts: tuple[str, ...]
    split: str | None

    def get(self, role: str) -> str:
        """Return the value of a column; "" where the table has no such column."""
        return self.values.get(role, "")


def read_table(path: Path, layout: Layout) -> Iterator[TableRow | Problem]:
    """Yield the rows of a CSV, TSV or JSON-lines file (or .gz); a problem for each unusable line.

    Raises:
        UserError: with file and line: not UTF-8, CSV or JSON; a column missing, or with two names.
    """
    read = _read_json_lines if _suffix(path) == ".jsonl" else _read_delimited
    return read(path, layout)


def read_rows(path: Path, layout: Layout) -> Iterator[Row | Problem]:
    """Yield the rows of a table of images or clips (see `read_table`), one for each caption."""
    for row in read_table(path, layout):
        if isinstance(row, Problem):
            yield row
            continue
        file, label = row.get("file"), row.get("label") or None
        try:
            start, end = _parse_part(row.get("start"), row.get("end"))
        except ValueError as error:
            yield Problem(file, f"not a part of a clip, in seconds: {error}", row.where)
            continue
        # Without a label, an empty caption is a problem, which `assemble` reports.
        empty = "" if "caption" in layout.columns and label is None else None
        group = row.get("group") or None
        for caption in row.texts or (empty,):
            yield Row(
                file, caption, row.split, row.where, label=label, group=group, start=start, end=end
            )


def require_rows(path: Path, layout: Layout) -> Iterator[TableRow]:
    """Yield the rows of a table in which every line must be usable: see `read_table`.

    Raises:
        UserError: for the first problem, naming file and line.
    """
    for row in read_table(path, layout):
        if isinstance(row, Problem):
            line = row.where.rpartition(":")[2]
            raise UserError(f"{path}, line {line}: {row.reason}")
        yield row


def _parse_part(start: str, end: str) -> tuple[float, float | None]:
    first, last = float(start or 0), float(end) if end else None
    if not 0 <= first < math.inf or (last is not None and not first < last < math.inf):
        until = "the end" if last is None else f"{last:g} s"
        raise ValueError(f"from {first:g} s to {until}")
    return first, last


def _suffix(path: Path) -> str:
    """Return the suffix before .gz."""
    return Path(path.name.removesuffix(".gz")).suffix


def _read_delimited(path: Path, layout: Layout) -> Iterator[TableRow | Problem]:
    raw = layout.raw_tsv and _suffix(path) == ".tsv"
    delimiter, records = _read_tabs(path) if raw else _read_csv(path)
    line, header = next(records, (1, [""]))
    places = layout.locate(header)
    wrong = layout.repeated(places, header)
    wrong = wrong or layout.missing(role for role, found in places.items() if found)
    headerless = _suffix(path) in layout.headerless
    if wrong and headerless and len(header) == 2:
        records = itertools.chain([(line, header)], records)
        places = {role: [index] for index, role in zip(range(2), layout.columns, strict=False)}
    elif wrong:
        hint = "; without a header, give each line two fields" if headerless else ""
        raise UserError(f"{path}, line {line}: {wrong}; the first line is {header!r:.200}{hint}")
    for line, cells in records:
        where = f"{path.name}:{line}"
        if len(cells) != len(header) and not layout.ragged:
            files = [cells[min(index, len(cells) - 1)] for index in places.get("file", ())]
            hint = "" if raw else f"; quote text that holds {delimiter!r}"
            reason = f"wrong number of fields: {len(cells)}, the first line has {len(header)}{hint}"
            yield Problem((*files, where)[0], reason, where)
            continue
        yield _make_row(layout, where, cells, places)


def _read_json_lines(path: Path, layout: Layout) -> Iterator[TableRow | Problem]:
    roles = set[str]()
    for number, line in read_lines(path):
        try:
            item = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise UserError(f"{path}, line {number}: not JSON: {error}") from None
        if not isinstance(item, dict):
            raise UserError(f"{path}, line {number}: not a JSON object: {line!r:.80}")
        names, cells = list(item), list(item.values())
        places = layout.locate(names)
        if wrong := layout.repeated(places, names):
            raise UserError(f"{path}, line {number}: {wrong}")
        roles.update(role for role, found in places.items() if found)
        yield _make_row(layout, f"{path.name}:{number}", cells, places)
    if wrong := layout.missing(roles):
        raise UserError(f"{path}: {wrong} in any line")


def _make_row(
    layout: Layout, where: str, cells: Sequence[Any], places: Mapping[str, Sequence[int]]
) -> TableRow | Problem:
    """Return a row, or what is wrong with it; cells are strings or JSON values."""
    values, texts = dict[str, str](), list[str]()
    try:
        for role, found in places.items():
            column = layout.columns[role]
            given = [cells[index] for index in found if index < len(cells)]
            if column.kind == "texts":
                texts += [text for cell in given for text in _check_texts(role, cell)]
            else:
                values[role] = _check_value(role, column, given[0] if given else None)
        split = values.get("split", "").lower()
        if split and split not in SPLITS:
            named = values["split"]
            raise _BadCellError(f"unknown split: {named!r} is not train, validation or test")
    except _BadCellError as error:
        return Problem(values.get("file") or where, str(error), where)
    return TableRow(where, values, tuple(texts), SPLITS.get(split))


class _BadCellError(Exception):
    """A row that cannot be used; the text is the reason."""


def _check_value(role: str, column: Column, cell: object) -> str:
    if isinstance(cell, int | float) and column.kind == "name":
        cell = str(cell)
    if not isinstance(cell, str | None):
        raise _BadCellError(f"{role} is not a string: {cell!r:.80}")
    value = (cell or "").strip()
    if column.filled and not value:
        raise _BadCellError(f"no {role}: give one or remove the line")
    if column.kind == "name" and HALF_SURROGATE.search(value):
        raise _BadCellError(f"{role} is not Unicode: half a surrogate pair")
    return value


def _check_texts(role: str, cell: object) -> list[str]:
    several: list[object] = cell if isinstance(cell, list) else [] if cell is None else [cell]
    texts = [text for text in several if isinstance(text, str)]
    if len(texts) < len(several):
        raise _BadCellError(f"{role} is not a string or a list of strings: {cell!r:.80}")
    return [text for text in texts if text.strip()]


def _read_tabs(path: Path) -> tuple[str, Iterator[tuple[int, list[str]]]]:
    return "\t", ((number, line.split("\t")) for number, line in read_lines(path))


def _read_csv(path: Path) -> tuple[str, Iterator[tuple[int, list[str]]]]:
    """Return the delimiter (comma, semicolon or tab), and the rows with their first lines."""
    text = read_text(path)
    first = text.lstrip().partition("\n")[0]
    delimiter = max(",;\t", key=first.count)
    # io.StringIO would take four times the memory.
    stream = io.TextIOWrapper(io.BytesIO(text.encode()), "utf-8", newline="")
    reader = csv.reader(stream, delimiter=delimiter, strict=True)

    def records() -> Iterator[tuple[int, list[str]]]:
        end = 0
        try:
            for cells in reader:
                number, end = end + 1, reader.line_num
                if any(map(str.strip, cells)):
                    yield number, cells
        except csv.Error as error:
            raise UserError(
                f'{path}, line {reader.line_num}: {error}; inside a quoted field write " as ""'
            ) from None

    return delimiter, records()
