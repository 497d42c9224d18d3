"""Texts with their translations: how their files are read, and what is refused.

Two parallel files correspond line by line; each may be packed as .gz. The header of a table, or a
line of JSON, names the two languages, or text and translation; without a header the text is first.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from data.annotations.entries import Entry, text_entry
from data.annotations.headers import LANGUAGES
from data.annotations.records import SUFFIXES, find_tables
from data.annotations.source_files import PACKED, find, nothing_found, parallel_lines, visible
from data.annotations.splits import SPLITS
from data.annotations.tables import GROUP, SPLIT, Column, Layout, require_rows
from data.common.errors import UserError

# Also what WMT's shared tasks on multi30k call their test files.
FOLDERS = ("", "raw/", "task1/raw/")  # of multi30k/dataset
NAMES: Mapping[str, str] = {**SPLITS, "test_2016_flickr": "test", "test2016": "test"}


class Languages(NamedTuple):
    """The source and the target language, as files and columns name them: "en", "de"."""

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
                f"--languages is SOURCE-TARGET, as the names of the files end: en-de, not {given!r}"
            )
        return cls(*parts)


def read_pairs(source: Path, languages: Languages | None) -> Iterator[Entry]:
    """Read the parallel files, or the table, of each split: train, dev (or validation) and test."""
    files = _parallel_files(source, languages) if languages else {}
    tables = [] if files else find_tables(source, "table of pairs", ["pairs"], NAMES)
    if {*files, *(split for _, split in tables)}.isdisjoint({None, "train"}):
        looked_for = [f"train{suffix}" for suffix in SUFFIXES]
        ends = languages or ("en", "de")
        hint = "" if languages else "or, with --languages en-de, "
        looked_for.append(f"{hint}train.{ends[0]} and train.{ends[1]} (or .gz)")
        raise nothing_found(source, "pairs of texts", looked_for)
    for split, (texts, translations) in files.items():
        rows = parallel_lines(texts, translations, "they must correspond")
        for number, text, translation in rows:
            text_id, target = f"{texts.name}:{number}", translation.strip()
            yield text_entry(text_id, text.strip(), target, split, paired=True)
    for path, split in tables:
        yield from _read_table(path, languages, split)


def _parallel_files(source: Path, languages: Languages) -> dict[str | None, tuple[Path, Path]]:
    """Return split → two parallel files; None → the only two, of another name."""
    found: dict[str | None, tuple[Path, Path]] = {}
    for name, split in NAMES.items():
        if split not in found and (files := _find_parallel(source, languages, name)):
            found[split] = files
    if not found:
        texts = (p.name.removesuffix(".gz") for p in visible(source))
        names = {
            name[: -len(languages.text) - 1]
            for name in texts
            if name.endswith(f".{languages.text}")
        }
        if len(names) == 1 and (files := _find_parallel(source, languages, names.pop())):
            found[None] = files
    return found


def _find_parallel(source: Path, languages: Languages, name: str) -> tuple[Path, Path] | None:
    """Return the two parallel files of a name; None: neither is there."""
    ends = [
        [f"{folder}{name}.{language}{gz}" for folder in FOLDERS for gz in PACKED]
        for language in languages
    ]
    text, translation = (find(source, names) for names in ends)
    if text and translation:
        return text, translation
    if present := text or translation:
        missing = " or ".join(ends[1 if text else 0][: len(PACKED)])
        raise UserError(f"{present} has no parallel file: no {missing} in {source}")
    return None


def _read_table(path: Path, languages: Languages | None, split: str | None) -> Iterator[Entry]:
    own, other = (_names(name) for name in languages or ("text", "translation"))
    layout = Layout(
        {
            "text": Column(own, required=True, kind="text", others=("text", "source", "src")),
            "translation": Column(
                other, required=True, kind="text", others=("translation", "target", "tgt")
            ),
            "split": SPLIT,
            "group": GROUP,
        },
        headerless=(".tsv", ".csv", ".txt"),
        raw_tsv=True,
    )
    for row in require_rows(path, layout):
        text, target = row.get("text"), row.get("translation")
        entry = text_entry(row.where, text, target, row.split or split, paired=True)
        yield entry._replace(group=row.get("group"))


def _names(language: str) -> tuple[str, ...]:
    """Return the names of a language in a header: "de", "german"."""
    language = language.lower()
    return tuple(filter(None, (language, LANGUAGES.get(language))))
