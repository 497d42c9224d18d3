"""What is known of a dataset before it is read: its name, its layout, its license."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from data.annotations.source_files import check_folder
from data.common.errors import UserError, unknown

_MADE = "made by Wordreel itself, free of the rights of others"


_OWN = "that of whoever trained the model: see there"


_SNIPPETS = "none stated by its distributor; snippets of film reviews by their authors"


_FLICKR = "photos of Flickr users, under terms of their own; given out for non-commercial research"


_LICENCES = {
    "synthetic-scenes": _MADE,
    "synthetic-reviews": _MADE,
    "synthetic-clips": _MADE,
    "synthetic-pairs": _MADE,
    "digits": "CC BY 4.0 (Alpaydin & Kaynak 1998, https://doi.org/10.24432/C50P49)",
    "folder": _OWN,
    "labelled-images": _OWN,
    "pairs": _OWN,
    "texts": _OWN,
    "clip-folder": _OWN,
    "flickr8k": _FLICKR,
    "flickr30k": _FLICKR,
    "coco": "captions CC BY 4.0; photos of Flickr users, under terms of their own",
    "coco_captions": "captions CC BY 4.0; photos of Flickr users, under terms of their own",
    "sst2": _SNIPPETS,
    "rt-polarity": _SNIPPETS,
    "kinetics": "annotations CC BY 4.0; clips of YouTube users, under terms of their own",
    "vatex": "captions CC BY 4.0; clips of YouTube users, under terms of their own",
}


def licence_of(dataset: str) -> str:
    """Return the terms of a dataset in a few words.

    >>> licence_of("synthetic-scenes")
    'made by Wordreel itself, free of the rights of others'
    """
    return _LICENCES.get(dataset, "see its distributor")


@dataclass(frozen=True)
class DatasetInfo:
    """A dataset that `prepare` knows.

    Attributes:
        name: as `--data` names it.
        summary: one line.
        needs_source: whether the user has to say where it lies (`--source`).
        layout: what is expected there.
        made: whether it is made on the spot, so that it takes no source.
        has: what it says of its examples: "captions", "labels" or both.
    """

    name: str
    summary: str
    needs_source: bool
    layout: str
    made: bool = False
    has: tuple[str, ...] = ("captions",)


def info_of(name: str, known: Mapping[str, DatasetInfo]) -> DatasetInfo:
    """Return what is known of a dataset; those of TFDS's own, "tfds:mnist", share an entry.

    Raises:
        UserError: if there is no such dataset.
    """
    if not is_known(name, known):
        raise unknown("dataset", name, known)
    return known.get(name) or known["tfds:NAME"]


def is_known(name: str, known: Mapping[str, DatasetInfo]) -> bool:
    """Say whether there is such a dataset; see `info_of`."""
    return name in known or (name.startswith("tfds:") and "tfds:NAME" in known)


def source_folder(info: DatasetInfo, source: Path | str | None) -> Path | None:
    """Return the folder a dataset lies in; None where it needs none.

    Raises:
        UserError: if the dataset needs a source and none is given, or none and one is; if the
            folder is not there or has nothing in it.
    """
    if source is None:
        if info.needs_source:
            raise UserError(f"{info.name} needs --source DIR, a folder with: {info.layout}")
        return None
    if info.made:
        raise UserError(f"{info.name} takes no --source: it needs {info.layout}")
    folder = Path(source).expanduser()
    check_folder(folder)
    return folder
