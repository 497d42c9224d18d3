"""Labeled texts: how their files are read, and what is refused.

The header of a table names the column of texts (text, sentence, review, …), that of labels (label,
class, …) and, optionally, those of splits and groups; for tables without a header see
`data.annotations.headers`. A line of JSON has the same names: {"text": "…", "label": "…"}.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from data.annotations.assemble import one_line
from data.annotations.entries import Entry, Problem, text_entry
from data.annotations.records import SUFFIXES, find_tables
from data.annotations.source_files import (
    find,
    nothing_found,
    read_lines,
    read_text,
    require,
)
from data.annotations.tables import GROUP, LABEL, SPLIT, TEXT, Layout, require_rows
from data.common.errors import UserError

TEXTS = Layout(
    {
        "text": replace(TEXT, required=True),
        "label": replace(LABEL, required=True),
        "split": SPLIT,
        "group": GROUP,
    },
    headerless=(".tsv", ".csv", ".txt"),
    raw_tsv=True,
)
TEST = replace(TEXTS, columns={**TEXTS.columns, "label": LABEL})
NO_LABELS = {"", "-1"}  # of test splits whose labels are secret
POLARITY = {"rt-polarity.neg": "negative", "rt-polarity.pos": "positive"}


def read_tables(source: Path) -> Iterator[Entry | Problem]:
    """Read the table named texts, or train, dev and test tables, or the only table."""
    tables = find_tables(source, "table of texts", ["texts"])
    if {split for _, split in tables}.isdisjoint({None, "train"}):
        names = [f"{name}{suffix}" for name in ("texts", "train") for suffix in SUFFIXES]
        raise nothing_found(source, "labeled texts", names)
    for path, split in tables:
        yield from _read_table(path, split)


def read_sst2(source: Path) -> Iterator[Entry | Problem]:
    """Read SST-2's train.tsv and dev.tsv, where 0 is negative and 1 positive."""
    names = {"0": "negative", "1": "positive"}
    for text in read_tables(source):
        if isinstance(text, Entry):
            text = text._replace(label=names.get(text.label, text.label))
        yield text


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


def _read_table(path: Path, split: str | None) -> Iterator[Entry | Problem]:
    """Yield the texts of a table; those of its test part without a label are left out."""
    test = list[Entry]()
    for row in require_rows(path, TEST if split == "test" else TEXTS):
        own, label = row.split or split, one_line(row.get("label"))
        if not label and own != "test":
            raise UserError(f"{path}, line {row.where.rpartition(':')[2]}: no label: give one")
        entry = text_entry(row.where, row.get("text"), label, own)._replace(group=row.get("group"))
        if own == "test":
            test.append(entry)
        else:
            yield entry
    secret = {entry.label for entry in test} <= NO_LABELS
    kept = [] if secret else [entry for entry in test if entry.label]
    if len(kept) < len(test):
        first = next(entry.file for entry in test if secret or not entry.label)
        reason = f"test texts without labels: {len(test) - len(kept):,} left out, from {first}"
        yield Problem(path.name, reason, path.name, bad=False)
    yield from kept
