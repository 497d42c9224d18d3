"""Rows of annotation files, the entries of a dataset, and what is wrong with them."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple


class Row(NamedTuple):
    """One caption or label of an image or clip, as an annotation file has it.

    Attributes:
        file: the image or clip, relative to the media folder.
        caption: None where the row has none (it gives a label or a split, or lists the file).
        split: "train", "validation" or "test"; None where the row names none.
        where: file and line: "captions.csv:12".
        image_id: None: the file's name is the id.
        number: of the caption; equal captions of an image with equal numbers are duplicates.
        label: the class; None where the row has none.
        group: see `Entry`; None: the file is its own group.
        start: of the part of a clip, in seconds.
        end: in seconds; None: the end of the clip.
    """

    file: str
    caption: str | None
    split: str | None
    where: str
    image_id: str | None = None
    number: str | None = None
    label: str | None = None
    group: str | None = None
    start: float = 0.0
    end: float | None = None


class Entry(NamedTuple):
    """One example of a dataset: an image, a clip or a part of one, or a text.

    Attributes:
        file: its name; parts of a clip have one each, see `part_name`.
        relative_path: its file, relative to `root`; "" for generated examples and texts.
        split: "train", "validation", "test" or a name of the dataset's own; "" while unknown.
        label: its class; "" where it has none.
        group: all entries of one group get the same split.
        root: the folder that holds the files of the source.
        start: of the part of a clip, in seconds.
        end: in seconds; None: the end of the clip.
        place: of an image in a larger file: see `data.media.packed`.
    """

    image_id: str
    file: str
    relative_path: str
    captions: tuple[str, ...]
    split: str
    label: str = ""
    group: str = ""
    root: str = ""
    start: float = 0.0
    end: float | None = None
    place: str = ""

    @property
    def path(self) -> Path:
        """The path of its file."""
        return Path(os.path.join(self.root, self.relative_path))  # pathlib would intern each

    @property
    def where(self) -> str:
        """The path for a message; "" for examples without a file."""
        return str(self.path) if self.relative_path else ""


class Annotations(NamedTuple):
    """The annotations of a source.

    Attributes:
        entries: those to use.
        problems: what is wrong with others.
        notes: to print.
        missing: the splits that remain to be chosen: see `data.annotations.splits`.
    """

    entries: tuple[Entry, ...]
    problems: tuple[Problem, ...]
    notes: tuple[str, ...]
    missing: tuple[str, ...] = ()

    @property
    def total(self) -> int:
        """The number of entries, unusable ones included."""
        bad = {problem.file for problem in self.problems if problem.bad}
        return len(self.entries) + len(bad.difference(entry.file for entry in self.entries))


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with an example or its annotations.

    Attributes:
        file: the image, clip or text, as the source names it.
        reason: its kind, then the details: "undecodable: cut short".
        where: file and line ("captions.csv:12"), or the folder, where it was found.
        bad: whether the example counts towards the share of bad examples. A dropped caption of an
            image that has others does not.
    """

    file: str
    reason: str
    where: str
    bad: bool = True


def text_entry(
    text_id: str, text: str, target: str, split: str | None, *, paired: bool = False
) -> Entry:
    """Return the entry of a text.

    Args:
        text_id: its file and line: "train.tsv:12".
        text: the input of a model.
        target: the label or, if `paired`, the translation.
        split: "train", "validation" or "test"; None where the source names none.
        paired: whether the target is a translation.
    """
    captions, label = ((text, target), "") if paired else ((text,), sys.intern(target))
    return Entry(text_id, text_id, "", captions, split or "", label)


def part_name(file: str, start: float, end: float | None) -> str:
    """Return the name of a part of a clip (in seconds), written as a URI's media fragment.

    >>> part_name("a.mp4", 1.5, 4.0), part_name("a.mp4", 2.0, None), part_name("a.mp4", 0.0, None)
    ('a.mp4#t=1.5,4', 'a.mp4#t=2', 'a.mp4')
    """
    if start == 0 and end is None:
        return file
    return f"{file}#t={start:.12g}" + ("" if end is None else f",{end:.12g}")
