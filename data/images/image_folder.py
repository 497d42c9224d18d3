"""A user's own captioned images: `images/` beside `captions.csv` (.tsv, .txt) or `captions.jsonl`.

The table has a header: the image (image, file, filename, …), one or several captions (caption, or
caption_1, caption_2, …) and, optionally, the split (train, validation, test). Several rows may
belong to one image. The delimiter is a comma, semicolon or tab. A line of JSON has the same names:
{"image": "a.jpg", "captions": ["…", "…"], "split": "train"}.
"""

from __future__ import annotations

from pathlib import Path

from data.annotations.assemble import assemble
from data.annotations.entries import Annotations
from data.annotations.scan import scan
from data.annotations.source_files import find_table, nothing_found, require
from data.annotations.tables import CAPTION, IMAGE, SPLIT, Layout, read_rows

CAPTION_FILES = ("captions.csv", "captions.tsv", "captions.txt", "captions.jsonl")
CAPTIONS = Layout({"file": IMAGE, "caption": CAPTION, "split": SPLIT}, any_of=("caption",))


def read_folder(source: Path) -> Annotations:
    """Read a user's own folder of captioned images."""
    images = require(source, "image folder", ["images", "Images"], folder=True)
    table = find_table(source, "caption file", CAPTION_FILES)
    if table is None:
        raise nothing_found(source, "caption file", CAPTION_FILES)
    return assemble(read_rows(table, CAPTIONS), scan(images), held_out=("validation", "test"))
