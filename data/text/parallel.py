"""Texts with their translations: how their files are read, and what is refused.

    read_pairs(Path("corpus"), Languages("en", "de"))  # train.en and train.de, line by line
    read_pairs(Path("corpus"), None)  # train.tsv: text<TAB>translation

Two parallel files correspond line by line; each may be packed as .gz. The header of a table, or a
line of JSON, names the two languages, or text and translation; without a header the text is first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from data.annotations.source_files import (
    HALF_SURROGATE,
    PACKED,
    find,
    nothing_found,
    parallel_lines,
)
from data.annotations.splits import SPLITS
from data.annotations.tables import SPLIT, Column, Layout, read_table, require_rows
from data.common.errors import UserError
from data.media.vocabulary import is_blank

SUFFIXES = (".tsv", ".csv", ".jsonl")
TABLES = tuple(f"{suffix}{gz}" for suffix in SUFFIXES for gz in PACKED)
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
        if HALF_SURROGATE.search(self.text + self.translation):
            return "text is not Unicode: half a surrogate pair"
        if is_blank(self.text):
            return "empty text"
        return "empty translation" if is_blank(self.translation) else ""


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


def read_pairs(source: Path, languages: Languages | None) -> Iterator[Pair]:
    """Read the parallel files, or the table, of each split: train, dev (or validation) and test.

    Raises:
        UserError: naming what was looked for, if there are no training pairs; file and line of what
            is not UTF-8 or not a table; both files and their counts where these differ.
    """
    files = dict(_parallel(source, languages)) if languages else {}
    tables = {} if files else dict(_tables(source))
    if not {"train", "pairs"} & {*files, *tables}:
        raise nothing_found(source, "pairs of texts", _looked_for(languages))
    for split, (texts, translations) in files.items():
        rows = parallel_lines(texts, translations, "they must correspond")
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
    """Yield the two files of each split; the first name that is there counts.

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
    """Yield the table of each split, or the one named pairs for all."""
    done: set[str] = set()
    for name, split in {"pairs": "pairs", **NAMES}.items():
        path = find(source, [f"{name}{suffix}" for suffix in TABLES])
        if path is not None and split not in done:
            done.add(split)
            yield split, path


def _read_table(path: Path, languages: Languages | None, split: str | None) -> Iterator[Pair]:
    names = languages or Languages("text", "translation")
    layout = Layout(
        {
            "text": Column((names.text.lower(),), required=True, kind="text"),
            "translation": Column((names.translation.lower(),), required=True, kind="text"),
            "split": SPLIT,
        },
        headerless=(".tsv", ".csv"),
        raw_tsv=True,
    )
    for row in require_rows(path, read_table(path, layout)):
        yield Pair(row.where, row.get("text"), row.get("translation"), row.split or split)


PAIR_READERS: Mapping[str, Callable[[Path, Languages | None], Iterator[Pair]]] = {
    "multi30k": lambda source, languages: read_pairs(source, languages or Languages("en", "de")),
    "pairs": read_pairs,
}
