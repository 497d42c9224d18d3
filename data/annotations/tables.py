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

import itertools
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

from data.annotations.entries import Problem, Row
from data.annotations.headers import SAMPLE, label_columns, pair_columns
from data.annotations.records import (
    JSON,
    read_csv,
    read_json_records,
    read_tabs,
    sniff,
    suffix_of,
    without_blank_end,
)
from data.annotations.source_files import HALF_SURROGATE, bad_byte
from data.annotations.splits import SPLITS
from data.common.errors import UserError


@dataclass(frozen=True)
class Column:
    """A column of an annotation table.

    Attributes:
        names: accepted in the header, in lower case.
        required: whether the table must have it.
        filled: whether every row must have a value in it.
        kind: "name": a short value, such as a file, label or number. "text": free text. "texts":
            free text in one or several columns (caption, caption_1, …), in JSON also a list.
        others: names, the best first, of which one is accepted where no column has one of `names`.
    """

    names: tuple[str, ...]
    required: bool = False
    filled: bool = False
    kind: Literal["name", "text", "texts"] = "name"
    others: tuple[str, ...] = ()

    def find(self, header: Sequence[str]) -> list[int]:
        """Return the indices of the names that are those of this column."""
        tidy = [re.sub(r"[\s_-]+", "_", name.strip().lower()) for name in header]
        if self.kind == "texts":
            tidy = [re.sub(r"_?\d+$", "", name) for name in tidy]
        found = [index for index, name in enumerate(tidy) if name in self.names]
        other = next((name for name in self.others if name in tidy), None)
        return found or [index for index, name in enumerate(tidy) if name == other]


@dataclass(frozen=True)
class Layout:
    """The columns of an annotation table, and what its dialect allows.

    Attributes:
        columns: role → column; the roles of images and clips are fields of `Row`.
        any_of: roles of which the table must have at least one.
        headerless: suffixes of tables that may lack a header; see `data.annotations.headers`.
        raw_tsv: whether a .tsv or .txt is divided at tabs only, and quotes are part of the text.
        ragged: whether rows may have more or fewer fields than the header.
    """

    columns: Mapping[str, Column]
    any_of: tuple[str, ...] = ()
    headerless: tuple[str, ...] = ()
    raw_tsv: bool = False
    ragged: bool = False

    def locate(self, names: Sequence[str]) -> dict[str, list[int]]:
        """Return role → indices of its columns, for the names of a header or a JSON object."""
        return {role: column.find(names) for role, column in self.columns.items()}

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
            f"no column {' or '.join(some)} (name it {', '.join(map(self._accepted, some))})"
            for some in (*wanted, self.any_of)
            if some and found.isdisjoint(some)
        )

    def _accepted(self, role: str) -> str:
        column = self.columns[role]
        return ", ".join(dict.fromkeys((*column.names, *column.others)))

    def infer(self, rows: Sequence[Sequence[str]], suffix: str) -> dict[str, list[int]] | str:
        """Return `locate`'s result for a table without a header, or why there is none."""
        text, other, *_ = self.columns
        same = [row for row in rows if len(row) == len(rows[0])]
        labeled = self.columns[other].kind == "name"
        found = label_columns(same, suffix == ".csv") if labeled else pair_columns(same)
        return found if isinstance(found, str) else {text: [found[0]], other: [found[1]]}


# The names of columns, the same for every reader.
FILE_NAMES = ("file", "filename", "file_name")
OTHER_FILE_NAMES = ("path", "filepath", "file_path", "name", "id")
IMAGE = Column(
    ("image", "image_name", "image_file", "image_path", "img", "photo", "picture", *FILE_NAMES),
    required=True,
    filled=True,
    others=("image_filename", "img_path", "img_name", *OTHER_FILE_NAMES, "image_id", "img_id"),
)
CAPTION = Column(
    ("caption", "captions", "sentence", "sentences", "text"),
    kind="texts",
    others=("description", "descriptions", "comment", "raw", "alt_text", "txt"),
)
LABEL = Column(
    ("label", "class", "action"),
    others=(
        *("labels", "class_name", "class_label", "class_index", "sentiment", "polarity"),
        *("category", "tag", "target", "topic", "emotion", "intent", "stars", "rating", "v1"),
    ),
)
TEXT = Column(
    ("text", "sentence", "review"),
    kind="text",
    others=(
        *("tweet", "review_text", "reviewtext", "review_body", "comment", "comment_text"),
        *("message", "content", "body", "document", "phrase", "question", "utterance", "query"),
        *("description", "headline", "v2"),
    ),
)
SPLIT = Column(
    ("split",), others=("splits", "data_split", "split_name", "partition", "subset", "set")
)
GROUP = Column(("group",), others=("groups", "group_id", "group_name"))


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
    """Yield the rows of a CSV, TSV or JSON file (or .gz); a problem for each unusable line.

    Raises:
        UserError: with file and line: not UTF-8, CSV or JSON; a column missing, or with two names.
    """
    return (_read_json if suffix_of(path) in JSON else _read_delimited)(path, layout)


def read_rows(path: Path, layout: Layout) -> Iterator[Row | Problem]:
    """Yield the rows of a table of images or clips (see `read_table`), one for each caption."""
    for row in read_table(path, layout):
        if isinstance(row, Problem):
            yield row
        else:
            yield from annotations_of(row, layout, row.get("file"))


def annotations_of(row: TableRow, layout: Layout, file: str) -> Iterator[Row | Problem]:
    """Yield what a row of a table says about a file, one for each caption."""
    label, group = row.get("label") or None, row.get("group") or None
    try:
        start, end = _parse_part(row.get("start"), row.get("end"))
    except ValueError as error:
        yield Problem(file, f"not a part of a clip, in seconds: {error}", row.where)
        return
    # Without a label, an empty caption is a problem, which `assemble` reports.
    empty = "" if "caption" in layout.columns and label is None else None
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


def parse_seconds(text: str) -> float:
    """Return a time in seconds.

    >>> parse_seconds("12.5"), parse_seconds("7s"), parse_seconds("1:02:03,5")
    (12.5, 7.0, 3723.5)
    """
    seconds = 0.0
    for part in text.strip().removesuffix("s").replace(",", ".").split(":"):
        seconds = 60 * seconds + float(part)
    return seconds


def _parse_part(start: str, end: str) -> tuple[float, float | None]:
    first, last = parse_seconds(start or "0"), parse_seconds(end) if end else None
    if not 0 <= first < math.inf or (last is not None and not first < last < math.inf):
        until = "the end" if last is None else f"{last:g} s"
        raise ValueError(f"from {first:g} s to {until}")
    return first, last


def _read_delimited(path: Path, layout: Layout) -> Iterator[TableRow | Problem]:
    raw = layout.raw_tsv and suffix_of(path) in (".tsv", ".txt")
    delimiter, skip = ("\t", 0) if raw else sniff(path)
    records = read_tabs(path) if raw else read_csv(path, delimiter, skip)
    line, header = next(records, (1, [""]))
    header = without_blank_end(header, 1)
    places = layout.locate(header)
    wrong = bad_byte("".join(header)) or layout.repeated(places, header)
    wrong = wrong or layout.missing(role for role, found in places.items() if found)
    known, why = any(places.values()), ""
    if wrong and suffix_of(path) in layout.headerless and len(header) > 1 and not known:
        sample = [(line, header), *itertools.islice(records, SAMPLE)]
        inferred = layout.infer([cells for _, cells in sample], suffix_of(path))
        if isinstance(inferred, str):
            why = f", which is not taken for data because {inferred}"
        else:
            wrong, places, records = "", inferred, itertools.chain(sample, records)
    if wrong:
        raise UserError(f"{path}, line {line}: {wrong}; the first line is {header!r:.200}{why}")
    for line, cells in records:
        where = f"{path.name}:{line}"
        cells = without_blank_end(cells, len(header))
        if len(cells) != len(header) and not layout.ragged:
            files = [cells[min(index, len(cells) - 1)] for index in places.get("file", ())]
            hint = "" if raw else f"; quote text that holds {delimiter!r}"
            reason = f"wrong number of fields: {len(cells)}, the first line has {len(header)}{hint}"
            yield Problem((*files, where)[0], reason, where)
            continue
        yield make_row(layout, where, cells, places)


def _read_json(path: Path, layout: Layout) -> Iterator[TableRow | Problem]:
    roles, used = set[str](), list(layout.columns)
    if path.name.startswith("label") and "label" in used:
        used[1] = "label"
    pair = [layout.columns[role].names[0] for role in used[:2]]
    for number, item in read_json_records(path, pair):
        if not isinstance(item, dict):
            raise UserError(f"{path}, line {number}: not a JSON object: {item!r:.80}")
        if isinstance(item.get("translation"), dict):  # as the datasets library writes pairs
            item |= item.pop("translation")
        names, cells = list(item), list(item.values())
        places = layout.locate(names)
        if wrong := layout.repeated(places, names):
            raise UserError(f"{path}, line {number}: {wrong}")
        roles.update(role for role, found in places.items() if found)
        yield make_row(layout, f"{path.name}:{number}", cells, places)
    if wrong := layout.missing(roles):
        raise UserError(f"{path}: {wrong} in any line")


def make_row(
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
        cell = f"{cell:.0f}" if float(cell).is_integer() else str(cell)
    if not isinstance(cell, str | None):
        raise _BadCellError(f"{role} is not a string: {cell!r:.80}")
    value = (cell or "").strip()
    if wrong := bad_byte(value):
        raise _BadCellError(wrong)
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
    if wrong := next(filter(None, map(bad_byte, texts)), ""):
        raise _BadCellError(wrong)
    return [text for text in texts if text.strip()]
