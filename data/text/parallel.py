"""Texts with their translations: how their files are read, and what is refused.

Two parallel files correspond line by line; each may be packed as .gz. The header of a table, or a
line of JSON, names the two languages, or text and translation; without a header the text is first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple, TypeVar

from data.annotations.entries import Entry, text_entry
from data.annotations.headers import LANGUAGES
from data.annotations.source_files import PACKED, find, nothing_found, parallel_lines
from data.annotations.splits import SPLITS
from data.annotations.tables import SPLIT, Column, Layout, require_rows
from data.common.errors import UserError

SUFFIXES = (".tsv", ".csv", ".jsonl")
TABLES = tuple(f"{suffix}{gz}" for suffix in SUFFIXES for gz in PACKED)
T = TypeVar("T")
# Also what WMT's shared tasks on multi30k call their test files.
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
    files = _by_split(NAMES, lambda name: _find_parallel(source, languages, name))
    tables: Mapping[str, Path] = {}
    if not files:
        names = {"pairs": "pairs", **NAMES}
        tables = _by_split(names, lambda name: find(source, [name + suffix for suffix in TABLES]))
    if not {"train", "pairs"} & {*files, *tables}:
        looked_for = [f"train{suffix}" for suffix in TABLES]
        if languages is None:
            looked_for.append("or, with --languages en-de, train.en and train.de (or .gz)")
        else:
            looked_for.insert(
                0, f"train.{languages.text} and train.{languages.translation} (or .gz)"
            )
        raise nothing_found(source, "pairs of texts", looked_for)
    for split, (texts, translations) in files.items():
        rows = parallel_lines(texts, translations, "they must correspond")
        for number, text, translation in rows:
            text_id, target = f"{texts.name}:{number}", translation.strip()
            yield text_entry(text_id, text.strip(), target, split, paired=True)
    for name, path in tables.items():
        yield from _read_table(path, languages, None if name == "pairs" else name)


def _by_split(names: Mapping[str, str], find_name: Callable[[str], T | None]) -> dict[str, T]:
    """Return split → what is found under the first of its names that is there."""
    found: dict[str, T] = {}
    for name, split in names.items():
        if split not in found and (files := find_name(name)) is not None:
            found[split] = files
    return found


def _find_parallel(
    source: Path, languages: Languages | None, name: str
) -> tuple[Path, Path] | None:
    """Return the two parallel files of a name; None: neither is there."""
    if languages is None:
        return None
    ends = [[f"{name}.{language}{gz}" for gz in PACKED] for language in languages]
    text, translation = (find(source, names) for names in ends)
    if text and translation:
        return text, translation
    if present := text or translation:
        missing = " or ".join(ends[1 if text else 0])
        raise UserError(f"{present} has no parallel file: no {missing} in {source}")
    return None


def _read_table(path: Path, languages: Languages | None, split: str | None) -> Iterator[Entry]:
    text, translation = (_names(name) for name in languages or ("text", "translation"))
    layout = Layout(
        {
            "text": Column(text, required=True, kind="text", others=("text", "source", "src")),
            "translation": Column(
                translation, required=True, kind="text", others=("translation", "target", "tgt")
            ),
            "split": SPLIT,
        },
        headerless=(".tsv", ".csv"),
        raw_tsv=True,
    )
    for row in require_rows(path, layout):
        text, target = row.get("text"), row.get("translation")
        yield text_entry(row.where, text, target, row.split or split, paired=True)


def _names(language: str) -> tuple[str, ...]:
    """Return the names of a language in a header: "de", "german"."""
    language = language.lower()
    return tuple(filter(None, (language, LANGUAGES.get(language))))
