"""Labeled texts: how their files are read, and what is refused.

The header of a table names the column of texts (text, sentence or review), that of labels (label,
class or action) and, optionally, one of splits; a .tsv without a header has the text first and the
label second. A line of JSON has the same names: {"text": "…", "label": "…"}.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from data.annotations.assemble import one_line
from data.annotations.entries import Entry, text_entry
from data.annotations.source_files import find, nothing_found, read_lines, read_text, require
from data.annotations.splits import SPLITS
from data.annotations.tables import LABEL, SPLIT, Column, Layout, require_rows

SUFFIXES = (".tsv", ".csv", ".jsonl")
WHOLE = tuple(f"texts{suffix}" for suffix in SUFFIXES)
TEXTS = Layout(
    {
        "text": Column(("text", "sentence", "review"), required=True, kind="text"),
        "label": replace(LABEL, required=True, filled=True),
        "split": SPLIT,
    },
    headerless=(".tsv",),
    raw_tsv=True,
)
POLARITY = {"rt-polarity.neg": "negative", "rt-polarity.pos": "positive"}


def read_tables(source: Path) -> Iterator[Entry]:
    """Read train, dev (or validation) and test tables, or one table named texts."""
    whole = find(source, WHOLE)
    if whole is not None:
        yield from _read_table(whole, None)
        return
    files = [(name, find(source, [f"{name}{suffix}" for suffix in SUFFIXES])) for name in SPLITS]
    present = [(name, path) for name, path in files if path is not None]
    if "train" not in {SPLITS[name] for name, _ in present}:
        raise nothing_found(source, "labeled texts", [*WHOLE, *(f"train{s}" for s in SUFFIXES)])
    for name, path in present:
        yield from _read_table(path, SPLITS[name])


def read_sst2(source: Path) -> Iterator[Entry]:
    """Read SST-2's train.tsv and dev.tsv, where 0 is negative and 1 positive."""
    names = {"0": "negative", "1": "positive"}
    for text in read_tables(source):
        yield text._replace(label=names.get(text.label, text.label))


def read_polarity(source: Path) -> Iterator[Entry]:
    """Read rt-polarity's two files, a text a line; they name no splits."""
    for name, label in POLARITY.items():
        path = require(source, "texts", [name])
        for number, line in read_lines(path):
            yield text_entry(f"{path.name}:{number}", line.strip(), label, None)


def read_imdb(source: Path) -> Iterator[Entry]:
    """Read IMDB's four folders (Maas et al. 2011), a text a file."""
    for split in ("train", "test"):
        for folder, label in (("neg", "negative"), ("pos", "positive")):
            found = find(source, [f"{split}/{folder}"], folder=True)
            paths = sorted(found.glob("*.txt")) if found else []
            if not paths:
                raise nothing_found(source, "film reviews", [f"{split}/{folder}/*.txt"])
            for path in paths:
                name = f"{split}/{folder}/{path.name}"
                yield text_entry(name, read_text(path).replace("<br />", " ").strip(), label, split)


def _read_table(path: Path, split: str | None) -> Iterator[Entry]:
    for row in require_rows(path, TEXTS):
        label = one_line(row.get("label"))
        yield text_entry(row.where, row.get("text"), label, row.split or split)
