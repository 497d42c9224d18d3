"""A user's own captioned images: `images/` beside `captions.csv` (.tsv, .txt) or `captions.jsonl`.

The table has a header: the image (image, file, filename, …), one or several captions (caption, or
caption_1, caption_2, …) and, optionally, the split (train, validation, test). Several rows may
belong to one image. The delimiter is a comma, semicolon, tab or bar. A line of JSON has the same
names: {"image": "a.jpg", "captions": ["…", "…"], "split": "train"}. Also read are

- images in any folder beside the table, or a text file beside each image: a.txt of a.jpg,
- `metadata.jsonl` or `metadata.csv` beside the images of each split
  (Hugging Face's image folder),
- Parquet tables with images, and .tar shards (see `data.storage.packed`),
- captions in COCO's JSON format (see `data.annotations.coco_json`).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from data.annotations.assemble import assemble, read_tables
from data.annotations.coco_json import read_coco_json
from data.annotations.entries import Annotations, Problem, Row
from data.annotations.records import SUFFIXES, find_tables, suffix_of
from data.annotations.scan import MediaFolder, scan
from data.annotations.source_files import find, nothing_found, read_lines, require
from data.annotations.splits import split_of_path
from data.annotations.tables import CAPTION, IMAGE, SPLIT, Layout, read_rows
from data.media.suffixes import IMAGE_SUFFIXES
from data.storage.packed import read_packed

CAPTION_FILES = tuple(f"captions{suffix}" for suffix in SUFFIXES)
METADATA = ("metadata.csv", "metadata.jsonl")
CAPTIONS = Layout({"file": IMAGE, "caption": CAPTION, "split": SPLIT}, any_of=("caption",))


def read_folder(source: Path) -> Annotations:
    """Read a user's own folder of captioned images."""
    images = find(source, ["images", "Images"], folder=True)
    tables = find_tables(source, "caption file", ["captions"])
    table = tables[0][0] if tables else None
    rows: list[Row | Problem] | Iterator[Row | Problem]
    listed = read_coco_json(source) if table is None or suffix_of(table) == ".json" else []
    if images is not None and table is not None and not listed:
        folder = scan(images)
        rows = read_tables(tables, CAPTIONS, folder)
    elif found := read_metadata(source, CAPTIONS) or read_packed(source, CAPTIONS):
        rows, folder = found
    elif listed:
        rows, folder = listed, scan(images or source)
    else:
        folder = scan(table.parent if table else source)
        rows = read_tables(tables, CAPTIONS, folder) if tables else list(_beside_images(folder))
        if any(map(folder.has_suffix, folder.files)) and (tables or rows):
            return assemble(rows, folder, held_out=("validation", "test"))
        require(source, "image folder", ["images", "Images"], folder=True)
        raise nothing_found(source, "caption file", CAPTION_FILES)
    return assemble(rows, folder, held_out=("validation", "test"))


def _beside_images(folder: MediaFolder) -> Iterator[Row | Problem]:
    """Yield the lines of the text file beside each image: a.txt of a.jpg."""
    for file in filter(folder.has_suffix, folder.files):
        path = PurePosixPath(file)
        if texts := folder.files.get(str(path.with_suffix(".txt"))):
            for number, line in read_lines(folder.root / texts):
                yield Row(file, line, split_of_path(str(path.parent)), f"{texts}:{number}")


def read_metadata(source: Path, layout: Layout) -> tuple[list[Row | Problem], MediaFolder] | None:
    """Read Hugging Face's image folder: the tables beside the images; None if there is none."""
    folder = scan(source)
    tables = [path for path in folder.files.values() if PurePosixPath(path).name in METADATA]
    rows = list[Row | Problem]()
    for table in sorted(tables):
        parent = PurePosixPath(table).parent
        for row in read_rows(source / table, layout):
            if isinstance(row, Row):
                split = row.split or split_of_path(str(parent))
                row = row._replace(file=str(parent / row.file), split=split)
            rows.append(row)
    return (rows, folder) if rows else None


def has_images(folder: Path) -> bool:
    """Return whether images lie in a folder itself."""
    return any(path.suffix.lower() in IMAGE_SUFFIXES for path in folder.iterdir())
