"""Images with a label each: a folder a class, or a table: flowers/images/1.jpg, flowers/labels.csv.

See `data.annotations.class_folders` for the folders; the table has the columns image, label and,
optionally, split.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from data.annotations.assemble import assemble, read_tables
from data.annotations.class_folders import read_class_folders
from data.annotations.entries import Annotations, Problem, Row
from data.annotations.records import find_tables
from data.annotations.scan import MediaFolder, scan
from data.annotations.source_files import find
from data.annotations.tables import IMAGE, LABEL, SPLIT, Layout
from data.images.image_folder import METADATA, has_images, read_metadata
from data.storage.packed import read_packed

LABELS = Layout({"file": IMAGE, "label": LABEL, "split": SPLIT}, any_of=("label",))


def read_labeled_images(source: Path) -> Annotations:
    """Read a user's own labeled images, in either layout."""
    tables = find_tables(source, "label file", ["labels"])
    images = find(source, ["images", "Images"], folder=True)
    # Among class folders, a table of another name is not that of the labels.
    names = {table.name for table, _ in tables}
    known = tables and (min(names).startswith("labels.") or images or has_images(source))
    if not known or names & {*METADATA}:
        found = read_metadata(source, LABELS) or read_packed(source, LABELS)
        return _assemble(*(found or read_class_folders(source, scan, ["labels.csv", "images/"])))
    media = scan(images or source)
    return _assemble(read_tables(tables, LABELS, media), media)


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
