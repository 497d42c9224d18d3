"""A user's own clips: `clips/` beside `captions.csv`, `labels.csv` or both (or .tsv).

The table has a header. One column names the clip (clip, file, video, …), one the caption (or
several: caption_1, caption_2, …) or the label. If you like: `split` (train, validation, test);
`start` and `end`, in seconds, where a row tells of a part of the clip; `group`, so that clips that
belong together (one speaker, one scene) are never put into two splits. Without splits, clips are
split 80 : 10 : 10 by a hash of their groups; the parts of a clip are a group.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from data.annotations.assemble import assemble
from data.annotations.entries import Listing, Problem, Row
from data.annotations.scan import Pictures, key_of, scan
from data.annotations.splits import SPLITS
from data.annotations.tables import find, find_split, nothing_found, read_csv
from data.common.errors import UserError
from data.media.video import SUFFIXES

CLIP_FOLDERS = ("clips", "videos")
CLIP_TABLES = ("captions.csv", "captions.tsv", "labels.csv", "labels.tsv")
_COLUMNS = {
    "file": ("clip", "file", "video", "filename", "file_name", "id"),
    "label": ("label", "action", "class"),
    "caption": ("caption", "sentence", "text"),
    "split": ("split",),
    "group": ("group",),
    "start": ("start", "start_seconds"),
    "end": ("end", "end_seconds"),
}
_NUMBERED_CAPTION = re.compile(r"captions?[ _-]?\d+")
_SECONDS = r"(\d+(?:\.\d+)?(?:e[+-]\d+)?)"
_PART = re.compile(rf"#t={_SECONDS}(?:,{_SECONDS})?")


class Clips:
    """The files of a clip folder; a part of one has a name of its own, as "a.mp4#t=1.5,4"."""

    def __init__(self, root: Path) -> None:
        files = dict(scan(root).files)
        self.pictures = Pictures(root, files, "clip", "without captions or a label", SUFFIXES)
        self._files = files
        self._by_stem = dict[str, str]()
        for file in files:
            if PurePosixPath(file).suffix.lower() in SUFFIXES:
                self._by_stem.setdefault(PurePosixPath(file).stem, file)

    def named(self, stem: str) -> str:
        """Return the file of a name without folder and suffix, or what it would be called."""
        stem = unicodedata.normalize("NFC", stem)
        return self._by_stem.get(stem, f"{stem}.mp4")

    def part(self, file: str, start: float, end: float | None) -> str:
        """Return the name of a part of a file, in seconds; the file's where that is all of it.

        Raises:
            ValueError: if the part has no length.
        """
        if not (0 <= start < math.inf) or (end is not None and not start < end < math.inf):
            raise ValueError(f"from {start:g} s to {'the end' if end is None else f'{end:g} s'}")
        key = key_of(file, self.pictures)
        if start == 0 and end is None:
            return key
        name = f"{key}#t={start:.12g}" + ("" if end is None else f",{end:.12g}")
        if key in self._files:
            self._files[name] = self._files[key]
        return name


def window(file: str) -> tuple[float, float | None]:
    """Return the start and the end, in seconds, that the name of a part gives.

    >>> window("a.mp4#t=1.5,4"), window("a.mp4#t=2"), window("a.mp4")
    ((1.5, 4.0), (2.0, None), (0.0, None))
    """
    match = _PART.fullmatch(file, file.rfind("#t=")) if "#t=" in file else None
    if match is None:
        return 0.0, None
    return float(match[1]), None if match[2] is None else float(match[2])


def read_clip_folder(source: Path) -> Listing:
    """Read a user's own folder of clips."""
    root = find(source, CLIP_FOLDERS, folder=True)
    if root is None:
        raise nothing_found(source, "clip folder", [f"{name}/" for name in CLIP_FOLDERS])
    tables = [source / name for name in CLIP_TABLES if (source / name).is_file()]
    if not tables:
        raise nothing_found(source, "caption or label file", CLIP_TABLES)
    clips = Clips(root)
    read = [read_clip_table(table, clips) for table in tables]
    rows = [row for some, _ in read for row in some]
    return list_clips(rows, clips, [problem for _, some in read for problem in some])


def list_clips(
    rows: Iterable[Row], clips: Clips, problems: Iterable[Problem] = (), *, partial: bool = False
) -> Listing:
    """Bring rows and clips together, see `assemble`, and name labels and groups that look wrong."""
    listing = assemble(rows, clips.pictures, problems, partial=partial)
    found = list(listing.problems)
    labels = Counter(entry.label for entry in listing.entries if entry.label)
    splits = defaultdict[str, set[str]](set)
    learned = {entry.label for entry in listing.entries if entry.split == "train"}
    for entry in listing.entries:
        if entry.label not in learned and entry.label:
            reason = f"label that no training clip has: {entry.label!r}"
            found.append(Problem(entry.file, reason, "", bad=False))
        splits[entry.group].add(entry.split)
        if labels[entry.label] == 1:
            found.append(
                Problem(entry.file, f"label with one clip: {entry.label!r}", "", bad=False)
            )
    for entry in listing.entries:
        if len(splits[entry.group]) > 1:
            reason = f"group in two splits: {entry.group!r} is in {_and(splits[entry.group])}"
            found.append(Problem(entry.file, reason, "", bad=False))
    return Listing(listing.entries, tuple(found), listing.notes)


def _and(names: Iterable[str]) -> str:
    return " and ".join(sorted(names))


class _Columns(NamedTuple):
    """The places of the columns; -1: no such column."""

    file: int
    label: int
    split: int
    group: int
    start: int
    end: int
    captions: list[int]


def read_clip_table(
    path: Path, clips: Clips, *, by_stem: bool = False
) -> tuple[list[Row], list[Problem]]:
    """Read a table of clips.

    Args:
        path: the table.
        clips: the files that it names.
        by_stem: whether it names them without folder and suffix.

    Returns:
        The rows, and what is wrong with the lines that gave none.

    Raises:
        UserError: naming file and line, where it is not UTF-8, not CSV, or has no header.
    """
    header, delimiter, lines = read_csv(path)
    columns = _find_columns(path, header)
    rows, problems = list[Row](), list[Problem]()
    for where, cells in lines:
        if len(cells) != len(header):
            file = cells[min(columns.file, len(cells) - 1)]
            reason = (
                f"wrong number of fields: {len(cells)}, the header has {len(header)}; "
                f"put captions that hold {delimiter!r} in double quotes"
            )
            problems.append(Problem(file, reason, where))
            continue
        try:
            rows += _rows(cells, columns, clips, where, by_stem)
        except _BadRowError as error:
            file = cells[columns.file].strip() or where
            problems.append(Problem(file, str(error), where))
    return rows, problems


class _BadRowError(Exception):
    """A row that cannot be used; the text is the reason."""


def _rows(
    cells: list[str], columns: _Columns, clips: Clips, where: str, by_stem: bool
) -> Iterator[Row]:
    def cell(column: int) -> str | None:
        return cells[column].strip() or None if column >= 0 else None

    file, split = cell(columns.file), cell(columns.split)
    if not file:
        raise _BadRowError("row without a clip's name")
    if split and split.lower() not in SPLITS:
        raise _BadRowError(f"unknown split: {split!r} is not train, validation or test")
    try:
        start, end = float(cell(columns.start) or 0), cell(columns.end)
        name = clips.named(file) if by_stem else file
        part = clips.part(name, start, None if end is None else float(end))
    except ValueError as error:
        raise _BadRowError(f"no part of a clip, in seconds: {error}") from None
    row = Row(
        part,
        None,
        SPLITS[split.lower()] if split else None,
        where,
        label=cell(columns.label),
        # What is cut from one clip belongs together.
        group=cell(columns.group) or key_of(name, clips.pictures),
    )
    texts = [cells[column] for column in columns.captions if cells[column].strip()]
    if texts:
        yield from (row._replace(caption=text) for text in texts)
    else:
        yield row


def _find_columns(path: Path, header: list[str]) -> _Columns:
    names = [name.strip().lower() for name in header]
    places = {
        column: [at for at, name in enumerate(names) if name in known]
        for column, known in _COLUMNS.items()
    }
    captions = places.pop("caption")
    captions += [at for at, name in enumerate(names) if _NUMBERED_CAPTION.fullmatch(name)]
    if len(places["file"]) != 1 or not (captions or places["label"]):
        raise UserError(
            f"{path}: its first line must name one column of clips "
            f"({', '.join(_COLUMNS['file'])}) and one of labels ({', '.join(_COLUMNS['label'])}) "
            f"or captions (caption, caption_1, …); it is {header!r:.200}"
        )
    find_split(path, names)  # only to refuse several
    return _Columns(
        **{column: found[0] if found else -1 for column, found in places.items()},
        captions=captions,
    )
