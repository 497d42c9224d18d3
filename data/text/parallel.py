"""Texts with their translations: how their files are read, and what is refused.

    read_pairs(Path("corpus"), Languages("en", "de"))  # train.en and train.de, line by line
    read_pairs(Path("corpus"), None)  # train.tsv: text<TAB>translation

Two files go together line by line; each may be packed as .gz. A table's header names the two
languages, or says text and translation; without one the text stands first.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from data.annotations.splits import SPLITS
from data.annotations.tables import (
    PACKED,
    _all_lines,
    find,
    find_split,
    nothing_found,
    read_csv,
    side_by_side,
)
from data.common.errors import UserError
from data.media.vocabulary import is_blank

TABLES = (".tsv", ".tsv.gz", ".csv", ".csv.gz")
# Also what WMT's shared tasks on multi30k call their test files.
NAMES: Mapping[str, str] = {**SPLITS, "test_2016_flickr": "test", "test2016": "test"}


class Pair(NamedTuple):
    """A text and its translation; `text_id` is the text's file and line."""

    text_id: str
    text: str
    translation: str
    split: str | None

    @property
    def problem(self) -> str:
        """Why the pair cannot be used; "" if it can."""
        if is_blank(self.text):
            return "empty text"
        return "empty translation" if is_blank(self.translation) else ""


class Languages(NamedTuple):
    """From which language to which, as the names of files and columns say it: "en", "de"."""

    text: str
    translation: str

    @classmethod
    def parse(cls, given: str) -> Languages:
        """Read "en-de".

        Raises:
            UserError: if it is not two different names with a hyphen between.
        """
        parts = given.split("-")
        if len(parts) != 2 or not all(parts) or parts[0] == parts[1]:
            raise UserError(
                f"--languages is from which to which, as the files' names end: en-de, not {given!r}"
            )
        return cls(*parts)


def read_pairs(source: Path, languages: Languages | None) -> Iterator[Pair]:
    """Read the parallel files, or the table, of each split: train, dev (or validation) and test.

    Raises:
        UserError: naming what was looked for, if no training pairs are there; the file and line of
            what is not UTF-8 or no table; both files and their counts where these differ.
    """
    files = dict(_parallel(source, languages)) if languages else {}
    tables = {} if files else dict(_tables(source))
    if not {"train", "pairs"} & {*files, *tables}:
        raise nothing_found(source, "pairs of texts", _looked_for(languages))
    for split, (texts, translations) in files.items():
        rows = side_by_side(texts, translations, "they must say the same")
        for number, text, translation in rows:
            yield Pair(f"{texts.name}:{number}", text.strip(), translation.strip(), split)
    for name, path in tables.items():
        yield from _read_table(path, languages, None if name == "pairs" else name)


def _looked_for(languages: Languages | None) -> Sequence[str]:
    tables = [f"train{suffix}" for suffix in TABLES]
    if languages is None:
        return [*tables, "or, with --languages en-de, train.en and train.de (or .gz)"]
    return [f"train.{languages.text} and train.{languages.translation} (or .gz)", *tables]


def _parallel(source: Path, languages: Languages) -> Iterator[tuple[str, tuple[Path, Path]]]:
    """Yield each split's two files; the first name that is there speaks for a split.

    Raises:
        UserError: if one of the two is missing.
    """
    done: set[str] = set()
    for name, split in NAMES.items():
        files = [find(source, [f"{name}.{end}{gz}" for gz in PACKED]) for end in languages]
        if split in done or files == [None, None]:
            continue
        text, translation = files
        if text is None or translation is None:
            missing = languages.text if text is None else languages.translation
            raise UserError(
                f"{text or translation} has no partner: no {name}.{missing} or "
                f"{name}.{missing}.gz in {source}"
            )
        done.add(split)
        yield split, (text, translation)


def _tables(source: Path) -> Iterator[tuple[str, Path]]:
    """Yield the table of each split, or one for all, called pairs."""
    done: set[str] = set()
    for name, split in {"pairs": "pairs", **NAMES}.items():
        path = find(source, [f"{name}{suffix}" for suffix in TABLES])
        if path is not None and split not in done:
            done.add(split)
            yield split, path


def _read_table(path: Path, languages: Languages | None, split: str | None) -> Iterator[Pair]:
    columns = languages or Languages("text", "translation")
    if ".tsv" in path.suffixes:  # cells stand as they are: quotes are part of a text
        rows = (
            (number, line.rstrip("\r").split("\t"))
            for number, line in enumerate(_all_lines(path), 1)
        )
        number, first = next(rows)
    else:
        table = read_csv(path)
        rows = ((int(where.rpartition(":")[2]), cells) for where, cells in table.rows)
        number, first = 1, table.header
    names = [cell.strip().lower() for cell in first]
    headed = all(name.lower() in names for name in columns)
    if not headed and len(first) != 2:
        raise UserError(
            f"{path}: its first line must name the columns {columns.text} and "
            f"{columns.translation}, or every line hold two texts; it is {first!r:.200}"
        )
    text, translation = (names.index(name.lower()) for name in columns) if headed else (0, 1)
    own = find_split(path, names) if headed else None
    if not headed:
        yield _row(path, number, first, (text, translation), split)
    for number, cells in rows:
        if not any(map(str.strip, cells)):
            continue
        if len(cells) != len(first):
            raise UserError(f"{path}, line {number}: {len(cells)} fields, not {len(first)}")
        named = split if own is None else _split(path, number, cells[own])
        yield _row(path, number, cells, (text, translation), named)


def _row(
    path: Path, number: int, cells: Sequence[str], places: tuple[int, int], split: str | None
) -> Pair:
    text, translation = (cells[place].strip() for place in places)
    return Pair(f"{path.name}:{number}", text, translation, split)


def _split(path: Path, number: int, given: str) -> str | None:
    name = given.strip().lower()
    if name and name not in SPLITS:
        raise UserError(
            f"{path}, line {number}: the split {given!r} is not train, validation or test"
        )
    return SPLITS.get(name)
