"""Readers of corpora of captioned images in the layouts of their distributors.

They raise a UserError for what is missing or cannot be read: what was looked for, file and line.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from data.annotations.assemble import assemble
from data.annotations.coco_json import read_coco_file
from data.annotations.entries import Annotations, Problem, Row
from data.annotations.scan import scan
from data.annotations.source_files import (
    find,
    matching_lines,
    nothing_found,
    read_json,
    read_lines,
    require,
)
from data.annotations.splits import SPLITS
from data.annotations.tables import read_rows
from data.common.errors import UserError
from data.images.image_folder import CAPTIONS

FLICKR8K_TOKENS = "Flickr8k.token.txt"
FLICKR8K_SPLITS = {
    "train": "Flickr_8k.trainImages.txt",
    "validation": "Flickr_8k.devImages.txt",
    "test": "Flickr_8k.testImages.txt",
}
ENTITIES_SPLITS = {"train": "train.txt", "validation": "val.txt", "test": "test.txt"}
FLICKR8K_IMAGES = ("images", "Images", "Flicker8k_Dataset", "Flickr8k_Dataset")
FLICKR30K_TOKENS = ("results_20130124.token", "results.csv", "captions.txt", "captions.csv")
FLICKR30K_IMAGES = ("flickr30k-images", "flickr30k_images", "images", "Images")
COCO_YEARS = ("2017", "2014")


def read_flickr8k(source: Path) -> Annotations:
    """Read Flickr8k (Hodosh, Young & Hockenmaier 2013).

    Captions from `Flickr8k.token.txt` with the official split lists beside it; else captions and
    splits from Karpathy's `dataset_flickr8k.json`; else the captions alone, or Kaggle's
    `captions.txt`. Images that the lists do not name (the original names 8,000 of 8,092) are left
    out.
    """
    images = _images(source, FLICKR8K_IMAGES)
    listed = _listed(source, FLICKR8K_SPLITS)
    tokens = find(source, [FLICKR8K_TOKENS])
    if tokens is None or not listed:
        return _read_flickr(source, "flickr8k", [FLICKR8K_TOKENS, "captions.txt"], images)
    return assemble([*listed, *_rows(tokens, _TOKENS)], scan(images), partial=True)


def read_flickr30k(source: Path) -> Annotations:
    """Read Flickr30k (Young et al. 2014).

    Captions and splits from Karpathy's `dataset_flickr30k.json`; else captions from
    `results_20130124.token` or Kaggle's `results.csv`, with the splits of Flickr30k Entities'
    `train.txt`, `val.txt` and `test.txt` if they are there.
    """
    images = _images(source, FLICKR30K_IMAGES)
    return _read_flickr(source, "flickr30k", FLICKR30K_TOKENS, images)


def read_coco(source: Path) -> Annotations:
    """Read COCO captions (Chen et al. 2015); ids are COCO's numbers.

    Karpathy's `dataset_coco.json` (his splits; restval belongs to train) with `train2014/` and
    `val2014/`; else COCO's own `annotations/captions_{train,val}{2017,2014}.json` with
    `{train,val}{2017,2014}/`, where val is the validation split.
    """
    if karpathy := find(source, ["dataset_coco.json"]):
        rows = list(_karpathy_rows(karpathy, folders=True))
        folders = sorted({row.file.rpartition("/")[0] for row in rows})
        return assemble(rows, scan(_coco_root(source, folders), folders), partial=True)
    looked_for = ["dataset_coco.json"]
    for year in COCO_YEARS:
        names = {split: f"captions_{split}{year}.json" for split in ("train", "val")}
        files = {split: find(source, [name]) for split, name in names.items()}
        if all(files.values()):
            folders = [f"train{year}", f"val{year}"]
            paths = zip(filter(None, files.values()), folders, strict=True)
            found = (read_coco_file(path, Path(path.name), f"{at}/") for path, at in paths)
            rows_of_both = itertools.chain.from_iterable(found)
            return assemble(rows_of_both, scan(_coco_root(source, folders), folders))
        looked_for += [f"annotations/{name}" for name in names.values()]
    raise nothing_found(source, "caption file of COCO", looked_for)


def _read_flickr(source: Path, name: str, tokens: Sequence[str], images: Path) -> Annotations:
    karpathy = f"dataset_{name}.json"
    if path := find(source, [karpathy]):
        return assemble(_karpathy_rows(path, folders=False), scan(images), partial=True)
    path = require(source, f"caption file of {name}", [karpathy, *tokens])
    listed = _listed(source, ENTITIES_SPLITS)
    rows: Iterable[Row | Problem] = (
        read_rows(path, CAPTIONS)
        if path.name in ("captions.txt", "captions.csv")
        else _rows(path, _BARS if path.suffix == ".csv" else _TOKENS)
    )
    return assemble([*listed, *rows], scan(images), partial=True)


def _listed(source: Path, names: Mapping[str, str]) -> list[Row]:
    """Return a row without caption for each image of the split lists; the suffix may be missing."""
    return [
        Row(
            line.strip() if "." in line else f"{line.strip()}.jpg",
            None,
            split,
            f"{path.name}:{number}",
        )
        for split, name in names.items()
        if (path := find(source, [name]))
        for number, line in read_lines(path)
    ]


def _images(source: Path, names: Sequence[str]) -> Path:
    folder = require(source, "image folder", names, folder=True)
    while (folder / folder.name).is_dir():  # Kaggle's archive: flickr30k_images/flickr30k_images
        folder = folder / folder.name
    return folder


# A pattern of image, number and caption; an example; whether there is a header.
_TOKENS = (r"\s*(.+?)#(\d+)\s*\t(.*)", "image#number<TAB>caption", False)
# Kaggle's; one row of that file lacks the second bar.
_BARS = (r"\s*([^|]+?)\s*\|\s*(\d+)\s*\|?\s*(.*)", "image| number| caption", True)


def _rows(path: Path, layout: tuple[str, str, bool]) -> Iterator[Row]:
    pattern, example, header = layout
    for where, match in matching_lines(path, pattern, example, header=header):
        yield Row(match[1], match[3], None, where, number=match[2])


def _karpathy_rows(path: Path, *, folders: bool) -> Iterator[Row]:
    """Read the JSON of Karpathy & Fei-Fei (2015); `folders`: file names include their folder."""
    for image in _json_list(path, "images"):
        try:
            folder = f"{image['filepath']}/" if folders else ""
            file, split = folder + image["filename"], SPLITS[image["split"]]
            captions = [
                (_caption(sentence["raw"]), sentence.get("sentid"))
                for sentence in image["sentences"]
            ]
        except (KeyError, TypeError) as error:
            raise UserError(f"{path}: not Karpathy's layout: {error!r} in {image!r:.80}") from None
        # COCO's number is the id that its results format wants; Flickr's images have none.
        image_id = str(image["cocoid"]) if "cocoid" in image else None
        yield Row(file, None, split, path.name, image_id)
        for caption, number in captions:
            yield Row(file, caption, split, path.name, image_id, number)


def _caption(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"caption {value!r:.80} is not a string")
    return value


def _coco_root(source: Path, folders: Sequence[str]) -> Path:
    """Return the folder that holds `folders`: the source or its `images/`."""
    for root in (source, source / "images"):
        if all((root / folder).is_dir() for folder in folders):
            return root
    raise nothing_found(source, "image folders", [f"{folder}/" for folder in folders])


def _json_list(path: Path, key: str) -> list[Any]:
    content = read_json(path)
    if not isinstance(content, dict) or not isinstance(content.get(key), list):
        raise UserError(f"{path}: no list {key!r} in it")
    return content[key]
