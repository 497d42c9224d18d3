"""Texts with a label each: how their files are read, and what is refused.

    read_tables(Path("sst2"))  # train.tsv, dev.tsv: sentence<TAB>label
    read_polarity(Path("rt_polarity"))  # rt-polarity.pos and rt-polarity.neg

A table's header names the column of texts (text or sentence), that of labels (label) and, if you
like, one of splits; a .tsv without a header has the text first and the label last. A line of JSON
has the same names: {"text": "…", "label": "…"}.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from data.annotations.assemble import HALF_PAIR, one_line
from data.annotations.classes import classes_of
from data.annotations.entries import Problem
from data.annotations.splits import SPLITS, into_splits
from data.annotations.tables import find, find_split, lines, nothing_found, read_csv, read_text
from data.common.errors import UserError
from data.media.vocabulary import is_blank

TEXT_COLUMNS, LABEL_COLUMNS = ("text", "sentence", "review"), ("label", "class")
SUFFIXES = (".tsv", ".csv", ".jsonl")
WHOLE = tuple(f"texts{suffix}" for suffix in SUFFIXES)
POLARITY = {"rt-polarity.neg": "negative", "rt-polarity.pos": "positive"}


class Text(NamedTuple):
    """A labelled text; `text_id` is its file and line, `split` None where nothing says it."""

    text_id: str
    text: str
    label: str
    split: str | None

    @property
    def problem(self) -> str:
        """Why the text cannot be used; "" if it can."""
        if HALF_PAIR.search(self.text):
            return "text is not Unicode: half a surrogate pair"
        return "empty text" if is_blank(self.text) else ""


def read_tables(source: Path) -> Iterator[Text]:
    """Read train, dev (or validation) and test files, or one file named texts, of any suffix.

    Raises:
        UserError: naming file and line, for what is not UTF-8, not of its format, or has no label.
    """
    whole = find(source, WHOLE)
    if whole is not None:
        yield from _read_table(whole, None)
        return
    files = [(name, find(source, [f"{name}{suffix}" for suffix in SUFFIXES])) for name in SPLITS]
    present = [(name, path) for name, path in files if path is not None]
    if "train" not in {SPLITS[name] for name, _ in present}:
        raise nothing_found(source, "labelled texts", [*WHOLE, *(f"train{s}" for s in SUFFIXES)])
    for name, path in present:
        yield from _read_table(path, SPLITS[name])


def read_sst2(source: Path) -> Iterator[Text]:
    """Read SST-2's train.tsv and dev.tsv, where 0 is negative and 1 positive."""
    names = {"0": "negative", "1": "positive"}
    for text in read_tables(source):
        yield text._replace(label=names.get(text.label, text.label))


def read_polarity(source: Path) -> Iterator[Text]:
    """Read rt-polarity's two files, a text a line; nothing says what is in which split."""
    for name, label in POLARITY.items():
        path = find(source, [name])
        if path is None:
            raise nothing_found(source, "texts", list(POLARITY))
        for number, line in lines(path):
            yield Text(f"{path.name}:{number}", line.strip(), label, None)


def read_imdb(source: Path) -> Iterator[Text]:
    """Read IMDB's folders (Maas et al. 2011), a text a file.

    Raises:
        UserError: if one of the four folders has no text, or a text is not UTF-8.
    """
    for split in ("train", "test"):
        for folder, label in (("neg", "negative"), ("pos", "positive")):
            found = find(source, [f"{split}/{folder}"], folder=True)
            paths = sorted(found.glob("*.txt")) if found else []
            if not paths:
                raise nothing_found(source, "film reviews", [f"{split}/{folder}/*.txt"])
            for path in paths:
                name = f"{split}/{folder}/{path.name}"
                yield Text(name, read_text(path).replace("<br />", " ").strip(), label, split)


def _read_table(path: Path, split: str | None) -> Iterator[Text]:
    read = {".tsv": _tsv, ".csv": _csv, ".jsonl": _json_lines}[path.suffix]
    for number, text, label, own in read(path):
        where = f"{path.name}:{number}"
        if not label.strip():
            raise UserError(f"{path}, line {number}: no label; give one or take the line out")
        if HALF_PAIR.search(label):
            raise UserError(
                f"{path}, line {number}: the label is not Unicode: half a surrogate pair"
            )
        if own is not None and own.strip().lower() not in SPLITS:
            raise UserError(
                f"{path}, line {number}: the split {own!r} is not train, validation or test"
            )
        chosen = split if own is None else SPLITS[own.strip().lower()]
        yield Text(where, text.strip(), one_line(label), chosen)


Row = tuple[int, str, str, str | None]  # line, text, label, split


def _tsv(path: Path) -> Iterator[Row]:
    """Read cells between tabs as they stand: quotes are part of a text."""
    rows = ((number, line.split("\t")) for number, line in lines(path))
    yield from _table(path, rows, header_needed=False)


def _csv(path: Path) -> Iterator[Row]:
    """Read what commas, semicolons or tabs separate; a row's number is that of its first line."""
    table = read_csv(path)
    rows = ((int(where.rpartition(":")[2]), cells) for where, cells in table.rows)
    yield from _table(path, _chain((1, table.header), rows), header_needed=True)


def _table(
    path: Path, rows: Iterator[tuple[int, list[str]]], *, header_needed: bool
) -> Iterator[Row]:
    first, cells = next(rows, (1, [""]))
    names = [cell.strip().lower() for cell in cells]
    texts = [i for i, name in enumerate(names) if name in TEXT_COLUMNS]
    labels = [i for i, name in enumerate(names) if name in LABEL_COLUMNS]
    split = find_split(path, names)
    headed = len(texts) == 1 and len(labels) == 1
    if not headed and (header_needed or len(cells) != 2):
        raise UserError(
            f"{path}: its first line must name a column of texts ({', '.join(TEXT_COLUMNS)}) and "
            f"one of labels ({', '.join(LABEL_COLUMNS)}); it is {cells!r:.200}"
        )
    text, label = (texts[0], labels[0]) if headed else (0, 1)
    for number, row in rows if headed else _chain((first, cells), rows):
        if len(row) != len(cells):
            raise UserError(f"{path}, line {number}: {len(row)} fields, not {len(cells)}")
        own = row[split].strip() if headed and split is not None else ""
        yield number, row[text], row[label], own or None


def _chain(
    first: tuple[int, list[str]], rest: Iterable[tuple[int, list[str]]]
) -> Iterator[tuple[int, list[str]]]:
    yield first
    yield from rest


def _json_lines(path: Path) -> Iterator[Row]:
    for number, line in lines(path):
        try:
            item = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise UserError(f"{path}, line {number}: not JSON: {error}") from None
        item = item if isinstance(item, dict) else {}
        text = next((item[name] for name in TEXT_COLUMNS if name in item), None)
        label = next((item[name] for name in LABEL_COLUMNS if name in item), None)
        split = item.get("split")
        label = str(label) if isinstance(label, int) else label
        good = isinstance(text, str) and isinstance(label, str) and isinstance(split, str | None)
        if not good:
            raise UserError(
                f"{path}, line {number}: not an object of strings, as "
                f'{{"text": "…", "label": "…"}}: {line!r:.80}'
            )
        yield number, str(text), str(label), (split and split.strip()) or None


def sort_out(
    name: str, texts: Iterable[Text]
) -> tuple[dict[str, list[Text]], tuple[str, ...], list[Problem], list[str]]:
    """Put texts into splits, see `data.annotations.splits`; refuse what no classifier can learn.

    Returns:
        The texts of each split, the classes in order, what is wrong with the source, and remarks.

    Raises:
        UserError: if labels of a held-out split do not occur in training, or there is but one.
    """
    splits, problems, notes = into_splits(texts)
    examples = ((split, text.text_id, text.label) for split in splits for text in splits[split])
    return splits, classes_of(name, examples, "text"), problems, notes
