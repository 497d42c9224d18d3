"""Rows of an annotation file, the entries of a dataset, and the problems of both."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple


class Row(NamedTuple):
    """A line of a caption file.

    Attributes:
        file: the picture, relative to the image folder.
        caption: None where the line only says that the picture exists, or its split.
        split: train, validation or test; None where the line says nothing about it.
        where: "captions.csv:12".
        image_id: None: the file's name is the id.
        number: tells captions of one picture apart; two rows with the same number and caption
            are one row written twice.
        label: the class, where there are classes.
        group: pictures of one group are never put into two splits; None: a group of its own.
    """

    file: str
    caption: str | None
    split: str | None
    where: str
    image_id: str | None = None
    number: str | None = None
    label: str | None = None
    group: str | None = None


class Entry(NamedTuple):
    """A picture of a dataset, with its captions, its label ("" where it has none) and its group.

    A job holds one for each picture of a source: so its texts are shared where they are the same.

    Attributes:
        image_id: its id.
        file: its name, which tells parts of a clip apart.
        place: where its file lies under `root`; "" for what is made up.
        captions: what is told of it.
        split: train, validation, test or one of its own.
        label: its class.
        group: entries of one group are never put into two splits.
        root: the folder in which the source has its files.
    """

    image_id: str
    file: str
    place: str
    captions: tuple[str, ...]
    split: str
    label: str = ""
    group: str = ""
    root: str = ""

    @property
    def path(self) -> Path:
        """Where its file lies."""
        return Path(os.path.join(self.root, self.place))  # pathlib would intern each

    @property
    def where(self) -> str:
        """The same for a message: "" for what is made up."""
        return str(self.path) if self.place else ""


@dataclass(frozen=True)
class Listing:
    """What a source holds: the pictures to use, what is wrong, and remarks for the screen."""

    entries: tuple[Entry, ...]
    problems: tuple[Problem, ...]
    notes: tuple[str, ...]

    @property
    def total(self) -> int:
        """The number of pictures, the bad ones included."""
        bad = {problem.file for problem in self.problems if problem.bad}
        return len(self.entries) + len(bad.difference(entry.file for entry in self.entries))


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with a picture or its captions.

    Attributes:
        file: the picture, as the source names it.
        reason: its kind, then the particulars: "undecodable: cut short".
        where: where it was found: "captions.csv:12" (file and line), "images".
        bad: whether the picture counts towards the share at which the work stops. A dropped row
            of a picture that has other captions does not.
    """

    file: str
    reason: str
    where: str
    bad: bool = True
