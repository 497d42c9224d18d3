"""A user's own folder: `images/` beside `captions.csv` (or .tsv, .txt) or `captions.jsonl`.

The table has a header. One column names the picture (image, file, filename, …), one the caption
(or several: caption_1, caption_2, …), and one, if you like, the split (train, validation, test).
Several rows may belong to one picture. The delimiter is a comma, semicolon or tab. A line of
JSON has the same names: {"image": "a.jpg", "captions": ["…", "…"], "split": "train"}.
A table of labels has a column label (or class) instead, and one row a picture.
Without splits, pictures are split 80 : 10 : 10 by a hash of their names.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

from data.annotations.assemble import HALF_PAIR, assemble
from data.annotations.entries import Listing, Problem, Row
from data.annotations.scan import scan
from data.annotations.splits import SPLITS
from data.annotations.tables import find, find_split, lines, nothing_found, read_csv
from data.common.errors import UserError

CAPTION_FILES = ("captions.csv", "captions.tsv", "captions.txt", "captions.jsonl")
FILE_COLUMNS = ("image", "file", "filename", "file_name", "image_name")
LABEL_COLUMNS = ("label", "class")
_CAPTION_COLUMN = re.compile(r"captions?([ _-]?\d+)?|text")


def read_folder(source: Path) -> Listing:
    """Read a user's own folder of captioned pictures."""
    images = find(source, ["images", "Images"], folder=True)
    if images is None:
        raise nothing_found(source, "image folder", ["images/"])
    tables = [source / name for name in CAPTION_FILES if (source / name).is_file()]
    if not tables:
        raise nothing_found(source, "caption file", CAPTION_FILES)
    if len(tables) > 1:
        names = " and ".join(path.name for path in tables)
        raise UserError(f"{source} holds {names}: keep the one that is meant")
    return assemble(read_table(tables[0]), scan(images))


def read_table(path: Path, *, labels: bool = False) -> Iterator[Row | Problem]:
    """Read a table, or a file of JSON lines, of captions or of labels.

    Yields:
        The rows, and what is wrong with the lines that give none.

    Raises:
        UserError: naming file and line, where it is not UTF-8, not CSV or JSON, or has no header.
    """
    read = _json_lines if path.suffix == ".jsonl" else _csv_lines
    for item in read(path, labels):
        if isinstance(item, Problem):
            yield item
        elif item.split is None or item.split.strip().lower() in SPLITS:
            split = SPLITS[item.split.strip().lower()] if item.split else None
            yield item if split is item.split else item._replace(split=split)
        else:
            known = "train, validation or test"
            reason = f"unknown split: {item.split!r} is not {known}"
            yield Problem(item.file, reason, item.where)


def _csv_lines(path: Path, labels: bool) -> Iterator[Row | Problem]:
    header, delimiter, rows = read_csv(path)
    file_column, told_columns, split_column = _columns(path, header, labels)
    for where, cells in rows:
        if len(cells) != len(header):
            reason = (
                f"wrong number of fields: {len(cells)}, the header has {len(header)}; "
                f"put what holds {delimiter!r} in double quotes"
            )
            yield Problem(cells[min(file_column, len(cells) - 1)], reason, where)
            continue
        file = cells[file_column].strip()
        split = cells[split_column].strip() or None if split_column is not None else None
        if not file:
            yield Problem(where, "row without a picture's name", where)
            continue
        texts = [cells[column] for column in told_columns]
        if labels:
            yield Row(file, None, split, where, label=texts[0].strip() or None)
            continue
        # Of caption_1, caption_2, … a picture may use fewer than there are columns.
        for caption in [text for text in texts if text.strip()] or [""]:
            yield Row(file, caption, split, where)


def _columns(path: Path, header: list[str], labels: bool) -> tuple[int, list[int], int | None]:
    """Return the places of the picture, what is told of it, the split (None: no such column)."""
    names = [name.strip().lower() for name in header]
    files = [index for index, name in enumerate(names) if name in FILE_COLUMNS]
    if labels:
        told = [index for index, name in enumerate(names) if name in LABEL_COLUMNS]
        wanted, enough = f"one of labels ({', '.join(LABEL_COLUMNS)})", len(told) == 1
    else:
        told = [index for index, name in enumerate(names) if _CAPTION_COLUMN.fullmatch(name)]
        wanted, enough = "one or more of captions (caption, caption_1, …, text)", bool(told)
    if len(files) != 1 or not enough:
        raise UserError(
            f"{path}: its first line must name one column of pictures ({', '.join(FILE_COLUMNS)}) "
            f"and {wanted}; it is {header!r:.200}"
        )
    return files[0], told, find_split(path, names)


def _json_lines(path: Path, labels: bool) -> Iterator[Row | Problem]:
    for number, line in lines(path):
        where = f"{path.name}:{number}"
        try:
            item = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise UserError(f"{path}, line {number}: not JSON: {error}") from None
        names = [name for name in FILE_COLUMNS if isinstance(item, dict) and name in item]
        file = item[names[0]] if names else None
        if not isinstance(file, str) or not file.strip():
            raise UserError(
                f"{path}, line {number}: not an object that names its picture, as "
                f'{{"image": "a.jpg", "captions": ["…"]}}: {line!r:.80}'
            )
        label = next((item[name] for name in LABEL_COLUMNS if labels and name in item), None)
        captions = [] if labels else item.get("captions", item.get("caption", []))
        captions = [captions] if isinstance(captions, str) else captions
        split = item.get("split")
        if not isinstance(captions, list) or not all(isinstance(text, str) for text in captions):
            yield Problem(file, "captions are not a list of strings", where)
        elif split is not None and not isinstance(split, str):
            yield Problem(file, f"unknown split: {split!r} is not a string", where)
        elif not isinstance(label, str | int | None):
            yield Problem(file, f"label is not a string: {label!r:.80}", where)
        elif HALF_PAIR.search(str(label)):
            yield Problem(file, "label is not Unicode: half a surrogate pair", where)
        else:
            split = (split and split.strip()) or None
            row = Row(file, None, split, where, label=None if label is None else str(label))
            yield from (row._replace(caption=caption) for caption in captions or [None])
