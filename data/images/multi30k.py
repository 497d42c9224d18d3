"""Captions in other languages: each line of Multi30k describes an image of Flickr30k.

Flickr8k's images are a subset of those, so Flickr8k is enough to caption in German or French.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from data.annotations.assemble import assemble
from data.annotations.entries import Annotations, Row
from data.annotations.scan import scan
from data.annotations.source_files import PACKED, find, nothing_found, parallel_lines, require
from data.annotations.splits import SPLITS
from data.images.corpora import FLICKR8K_IMAGES, FLICKR30K_IMAGES

# Also what multi30k/dataset calls the test split; where it has its files.
NAMES = {**SPLITS, "test_2016_flickr": "test", "test2016": "test"}
FOLDERS = ("", "raw/", "task1/raw/")


def read_multi30k(source: Path, language: str) -> Annotations:
    """Read the captions of a language whose image is present (Elliott et al. 2016, task 1).

    The source has `{train,val,test}.LANGUAGE` (or .gz) and a list of images with the name of one
    for each line, as in the repository multi30k/dataset (`test_2016_flickr.de.gz` and
    `image_splits/test_2016_flickr.txt`) or as `images.{train,val,test}.txt`; and a folder of
    images, Flickr8k's or Flickr30k's.
    """
    folders = list(dict.fromkeys([*FLICKR8K_IMAGES, *FLICKR30K_IMAGES]))
    images = require(source, "image folder", folders, folder=True)
    folder = scan(images)
    rows = list(_rows(source, language, {_number(name): name for name in folder.files}))
    if not any(row.split == "train" for row in rows):
        wanted = [f"train.{language} (or .gz)", "image_splits/train.txt or images.train.txt"]
        raise nothing_found(source, "captions", wanted)
    present = [row for row in rows if row.file in folder.files]
    # The other images of Flickr are not expected to have captions.
    used = {row.file: folder.files[row.file] for row in present}
    annotations = assemble(present, folder._replace(files=used), partial=True)
    note = f"{len(present):,} of {len(rows):,} captions have their image in {images.name}/"
    return annotations._replace(notes=(*annotations.notes, note))


def _rows(source: Path, language: str, known: Mapping[str, str]) -> Iterator[Row]:
    done = set[str]()
    for name, split in NAMES.items():
        texts = find(source, [f"{at}{name}.{language}{gz}" for at in FOLDERS for gz in PACKED])
        lists = [f"{at}image_splits/{name}.txt" for at in ("", "task1/")]
        names = find(source, [f"images.{name}.txt", *lists])
        if texts is None or names is None or split in done:
            continue
        done.add(split)
        rows = parallel_lines(texts, names, "the second file must name the image of the first")
        for number, caption, file in rows:
            name = known.get(_number(file.strip()), file.strip())
            yield Row(name, caption, split, f"{texts.name}:{number}")


def _number(name: str) -> str:
    """Return Flickr's number of a photo; file names of Flickr8k have a key after it."""
    return name.partition(".")[0].partition("_")[0]
