"""What to predict: files, folders, patterns, tables and lines of text. Needs no TensorFlow."""

from __future__ import annotations

import dataclasses
import difflib
import glob
import os
import re
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from data.annotations.entries import Problem
from data.annotations.scan import scan
from data.annotations.source_files import read_text
from data.annotations.tables import IMAGE, Column, Layout, read_table
from data.common.errors import UserError
from data.media.suffixes import CLIP_SUFFIXES, IMAGE_SUFFIXES
from data.text.labeled import TEXTS
from data.video.clip_folder import CLIPS

STANDARD_INPUT = "-"
TABLES = frozenset((".csv", ".tsv", ".jsonl"))
# The suffixes of files with inputs, by kind; a line of a .txt file is a text.
SUFFIXES = {"image": IMAGE_SUFFIXES, "clip": CLIP_SUFFIXES, "text": frozenset((".txt",))}
# The columns of tables that need no --column: as in annotation tables.
COLUMNS: Mapping[str, Column] = {
    "image": IMAGE,
    "clip": CLIPS.columns["file"],
    "text": TEXTS.columns["text"],
}
FOLDERS = ("", "images", "clips", "videos")  # beside a table, with the files that it names
NAMED = 10  # files that are left out, named in a message


@dataclasses.dataclass
class Inputs:
    """The inputs of a command.

    Attributes:
        kind: "image", "clip" or "text".
        column: of the inputs in tables; None: one of `COLUMNS`.
        items: paths or texts, in the order of the arguments; no path twice.
        left_out: lines that count and name the files that are not read.
        problems: the rows of tables that cannot be read.
    """

    kind: str
    column: str | None = None
    items: list[Path | str] = dataclasses.field(default_factory=list)
    left_out: list[str] = dataclasses.field(default_factory=list)
    problems: list[str] = dataclasses.field(default_factory=list)

    def add(self, argument: str) -> None:
        """Add the inputs that an argument of the command line names.

        Raises:
            UserError: for a file that does not exist or cannot be read, or a folder without inputs.
        """
        if argument == STANDARD_INPUT:
            self._add_standard_input()
        elif os.path.isdir(argument):
            self._add_files(str(Path(argument)), _files_in(Path(argument)))
        elif os.path.exists(argument):
            self._add_file(Path(argument))
        elif self.kind == "text" and not _is_file_name(argument):
            self.items.append(argument)
        elif glob.has_magic(argument):
            found = [Path(path) for path in sorted(glob.glob(argument, recursive=True))]
            if not found:
                raise UserError(f"no file matches {argument!r}")
            files = [file for path in found for file in _files_in(path)]
            self._add_files(argument, list(dict.fromkeys(files)))
        else:
            raise _missing(argument)

    def _add_files(self, where: str, files: Sequence[Path]) -> None:
        """Add the files of a folder or pattern; report those of other kinds."""
        known = SUFFIXES[self.kind] | (TABLES if self.column else frozenset())
        others = [file for file in files if _suffix(file) not in known]
        if len(others) == len(files):
            found = f"; found {_counts(others)}" if others else ""
            raise UserError(f"no {self.kind} in {where}: none of {_list(known)}{found}")
        if others:
            inside = os.path.isdir(where)
            named = [os.path.relpath(file, where) if inside else str(file) for file in others]
            names = ", ".join(named[:NAMED])
            names += ", …" * (len(others) > NAMED)
            self.left_out.append(
                f"{where}: {len(others):,} of {len(files):,} files are left out, "
                f"{_counts(others)}: {names}; read are {_list(known)}"
            )
        for file in files:
            if _suffix(file) in known:
                self._add_file(file)

    def _add_file(self, file: Path) -> None:
        suffix = _suffix(file)
        if suffix in TABLES:
            self._add_table(file)
        elif self.kind != "text":
            self.items.append(file)
        elif suffix in SUFFIXES["text"]:
            self.items += _lines(read_text(file))
        else:
            raise UserError(f"{file}: texts are read from {_list(SUFFIXES['text'] | TABLES)} files")

    def _add_table(self, table: Path, folder: Path | None = None) -> None:
        """Add the inputs in a column; `folder` holds the files that it names."""
        column = dataclasses.replace(COLUMNS[self.kind], required=True, filled=False)
        if self.column is not None:
            name = self.column.strip().lower()
            tidy = re.sub(r"[\s_-]+", "_", name)
            column = Column((name, tidy), required=True, kind=column.kind)
        layout = Layout({self.kind: column})
        try:
            rows = list(read_table(table, layout))
        except UserError as error:
            hint = "" if self.column else f"; --column names the column of the {self.kind}s"
            raise UserError(f"{error}{hint}") from None
        self.problems += [f"{row.where}: {row.reason}" for row in rows if isinstance(row, Problem)]
        values = [row.get(self.kind) for row in rows if not isinstance(row, Problem)]
        self._add_values(values, str(table), folder or table.parent)

    def _add_standard_input(self) -> None:
        if sys.stdin.isatty():
            print("inputs, one a line; end with Ctrl-D:", file=sys.stderr)
        try:
            text = sys.stdin.read()
        except UnicodeDecodeError as error:
            raise UserError(f"standard input is not UTF-8: {error}; convert it first") from None
        if self.column is None:
            self._add_values(_lines(text), "standard input", Path())
            return
        with tempfile.TemporaryDirectory() as folder:
            suffix = ".jsonl" if text.lstrip().startswith("{") else ".csv"
            table = Path(folder, f"standard-input{suffix}")
            table.write_text(text, encoding="utf-8")
            self._add_table(table, Path())

    def _add_values(self, values: Iterable[str], where: str, folder: Path) -> None:
        """Add texts, or the files of these names; of the latter, at least one must exist."""
        if self.kind == "text":
            self.items += values
            return
        files = [_find(folder, value) for value in values if value.strip()]
        if files and not any(map(os.path.exists, files)):
            raise UserError(
                f"{where}: none of its {len(files):,} files exists; {_missing(files[0])}"
            )
        self.items += files


def read_inputs(arguments: Sequence[str], kind: str, column: str | None = None) -> Inputs:
    """Return the inputs that the arguments of a command name.

    Args:
        arguments: files, folders, patterns, tables, texts, or "-" for standard input, which is also
            read without arguments. A table is a .csv, .tsv or .jsonl file.
        kind: "image", "clip" or "text".
        column: of the inputs in tables.

    Raises:
        UserError: if there is nothing to predict, or for what `Inputs.add` raises it.
    """
    inputs = Inputs(kind, column)
    for argument in arguments or [STANDARD_INPUT]:
        inputs.add(argument)
    if not inputs.items:
        first = f": {inputs.problems[0]}" if inputs.problems else ""
        raise UserError(f"no {kind} given{first}; name files, folders or a table")
    if kind != "text":
        inputs.items = list(dict.fromkeys(inputs.items))
    return inputs


def _files_in(path: Path) -> list[Path]:
    """Return a file, or the files of a folder and its subfolders."""
    if not path.is_dir():
        return [path]
    try:
        return [path / file for file in scan(path).files.values()]
    except OSError as error:
        raise UserError(f"cannot read {error.filename}: {error.strerror}") from None


def _lines(text: str) -> list[str]:
    """Return the lines of a text; blank ones count, since outputs correspond to them."""
    return [line.rstrip("\r") for line in text.removesuffix("\n").split("\n")] if text else []


def _is_file_name(argument: str) -> bool:
    """Return whether an argument can only be meant as a file or pattern, not as a text."""
    known = SUFFIXES["text"] | TABLES
    return len(argument.split()) == 1 and _suffix(Path(argument)) in known


def _suffix(file: Path) -> str:
    name = file.name.lower()
    suffix = os.path.splitext(name)[1]
    packed = os.path.splitext(name.removesuffix(".gz"))[1]
    return packed if suffix == ".gz" and packed in TABLES else suffix


def _find(folder: Path, value: str) -> Path:
    """Return the file that a table names: beside it, else from the current folder."""
    for inner in FOLDERS:
        if os.path.exists(path := folder / inner / value):
            return path
    return Path(value) if os.path.exists(value) else folder / value


def _missing(path: str | Path) -> UserError:
    folder = os.path.dirname(path) or os.curdir
    names = os.listdir(folder) if os.path.isdir(folder) else []
    near = difflib.get_close_matches(os.path.basename(path), names, n=1)
    hint = f": did you mean {os.path.join(os.path.dirname(path), near[0])}?" if near else ""
    return UserError(f"no such file or folder: {path}{hint}")


def _counts(files: Iterable[Path]) -> str:
    """Count files by suffix: "3 .heic, 1 .txt"."""
    counts = Counter(_suffix(file) or "without suffix" for file in files)
    return ", ".join(f"{count:,} {suffix}" for suffix, count in counts.most_common())


def _list(suffixes: Iterable[str]) -> str:
    return ", ".join(sorted(suffixes))
