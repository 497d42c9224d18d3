"""Images with a label each: a folder a class, or a table: flowers/images/1.jpg, flowers/labels.csv.

See `data.annotations.class_folders` for the folders; the table has the columns image, label and,
optionally, split.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from data.annotations.assemble import assemble
from data.annotations.class_folders import read_class_folders
from data.annotations.entries import Annotations, Problem, Row
from data.annotations.scan import MediaFolder, scan
from data.annotations.source_files import find, find_table
from data.annotations.tables import IMAGE, LABEL, SPLIT, Layout, read_rows
from data.images.image_folder import METADATA, has_images, read_metadata
from data.storage.packed import read_packed

LABEL_FILES = ("labels.csv", "labels.tsv", "labels.jsonl", "labels.json")
LABELS = Layout({"file": IMAGE, "label": LABEL, "split": SPLIT}, any_of=("label",))


def read_labeled_images(source: Path) -> Annotations:
    """Read a user's own labeled images, in either layout."""
    table = find_table(source, "label file", LABEL_FILES)
    images = find(source, ["images", "Images"], folder=True)
    # Among class folders, a table of another name is not that of the labels.
    known = table is not None and (table.name in LABEL_FILES or images or has_images(source))
    if table is None or not known or table.name in METADATA:
        found = read_metadata(source, LABELS) or read_packed(source, LABELS)
        other = [*LABEL_FILES[:1], "images/"]
        return _assemble(*(found or read_class_folders(source, scan, other)))
    return _assemble(read_rows(table, LABELS), scan(images or source))


def _assemble(rows: Iterable[Row | Problem], media: MediaFolder) -> Annotations:
    """Assemble a labeled dataset; report the classes that have a single image."""
    media = media._replace(unannotated="without a label")
    annotations = assemble(rows, media, held_out=("validation", "test"))
    counts = Counter(entry.label for entry in annotations.entries)
    single = [
        Problem(entry.file, f"class with one {media.kind}: {entry.label!r}", "", bad=False)
        for entry in annotations.entries
        if counts[entry.label] == 1
    ]
    return annotations._replace(problems=(*annotations.problems, *single))
