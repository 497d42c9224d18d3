"""Captions in other languages: Multi30k says of which picture of Flickr30k each of its lines is.

Flickr8k's pictures are some of those, so that whoever has them can caption in German or French.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path

from data.annotations.assemble import assemble
from data.annotations.entries import Listing, Row
from data.annotations.scan import scan
from data.annotations.splits import SPLITS
from data.annotations.tables import PACKED, find, nothing_found, side_by_side
from data.images.corpora import FLICKR8K_IMAGES, FLICKR30K_IMAGES


def read_multi30k(source: Path, language: str) -> Listing:
    """Read the lines of a language whose picture is there (Elliott et al. 2016, task 1).

    Wanted are `{train,val,test}.LANGUAGE` (or .gz), `images.{train,val,test}.txt` with a picture's
    name for each line, and a folder of pictures, Flickr8k's or Flickr30k's, beside them.

    Raises:
        UserError: if one of them is not there, or two files have different numbers of lines.
    """
    folders = list(dict.fromkeys([*FLICKR8K_IMAGES, *FLICKR30K_IMAGES]))
    images = find(source, folders, folder=True)
    if images is None:
        raise nothing_found(source, "pictures", [f"{name}/" for name in folders])
    pictures = scan(images)
    rows = list(_rows(source, language, {_number(name): name for name in pictures.files}))
    if not any(row.split == "train" for row in rows):
        wanted = [f"train.{language} (or .gz)", "images.train.txt"]
        raise nothing_found(source, "captions", wanted)
    there = [row for row in rows if row.file in pictures.files]
    told = {row.file: pictures.files[row.file] for row in there}
    listing = assemble(there, pictures._replace(files=told), partial=True)
    note = f"{len(there):,} of {len(rows):,} captions have their picture in {images.name}/"
    return dataclasses.replace(listing, notes=(*listing.notes, note))


def _rows(source: Path, language: str, known: Mapping[str, str]) -> Iterator[Row]:
    for name, split in SPLITS.items():
        texts = find(source, [f"{name}.{language}{gz}" for gz in PACKED])
        names = find(source, [f"images.{name}.txt"])
        if texts is None or names is None:
            continue
        rows = side_by_side(texts, names, "one tells the picture of the other")
        for number, caption, file in rows:
            name = known.get(_number(file.strip()), file.strip())
            yield Row(name, caption, split, f"{texts.name}:{number}")


def _number(name: str) -> str:
    """Return Flickr's number of a photo: Flickr8k's files have a key behind it, Multi30k's not.

    >>> _number("1000268201_693b08cb0e.jpg") == _number("1000268201.jpg")
    True
    """
    return name.partition(".")[0].partition("_")[0]
