"""Images with a label each: a folder a class, or a table beside them.

    flowers/daisy/1.jpg, flowers/rose/7.jpg                       a folder a class
    flowers/train/daisy/1.jpg, flowers/test/rose/7.jpg            the same, split
    flowers/images/1.jpg, flowers/labels.csv                      image,label[,split]

Splits that nothing names are chosen: see `data.annotations.balance`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from data.annotations.assemble import assemble
from data.annotations.entries import Annotations, Problem, Row
from data.annotations.scan import scan
from data.annotations.source_files import find, find_table, nothing_found
from data.annotations.splits import SPLITS
from data.annotations.tables import IMAGE, LABEL, SPLIT, Layout, read_rows
from data.common.errors import UserError

LABEL_FILES = ("labels.csv", "labels.tsv", "labels.jsonl")
LABELS = Layout({"file": IMAGE, "label": LABEL, "split": SPLIT}, any_of=("label",))


def read_labeled_images(source: Path) -> Annotations:
    """Read a user's own labeled images, in either layout."""
    table = find_table(source, "label file", LABEL_FILES)
    if table is None:
        return _read_class_folders(source)
    images = find(source, ["images", "Images"], folder=True) or source
    return _assemble(list(read_rows(table, LABELS)), images)


def _read_class_folders(source: Path) -> Annotations:
    train = find(source, [name for name, split in SPLITS.items() if split == "train"], folder=True)
    if train is not None and _folders(train):  # "train" may be a class: of vehicles
        root = train.parent
        names = {path: path.name.lower() for path in _folders(root)}
        parts: dict[Path, str | None] = {
            path: SPLITS[name] for path, name in names.items() if name in SPLITS
        }
    else:
        root = source
        while len(inner := _folders(root)) == 1 and _folders(inner[0]):
            root = inner[0]  # as archives unpack: flowers/flowers/daisy
        parts = {root: None}
    folders = [(each, split) for part, split in parts.items() for each in _folders(part)]
    if not folders:
        raise nothing_found(
            source, "class folders", ["CLASS/", "train/CLASS/", *LABEL_FILES[:1], "images/"]
        )
    rows, problems = list[Row](), list[Problem]()
    for folder, split in folders:
        name = str(folder.relative_to(root))
        images = scan(root, [name])  # however deep
        files = list(filter(images.has_suffix, images.files))
        rows += [Row(file, None, split, name, label=folder.name) for file in files]
        if not files:
            problems.append(Problem(f"{name}/", "class without an image", root.name, bad=False))
    if not rows:
        some = ", ".join(each.name for each, _ in folders[:8])
        raise UserError(f"no image in the class folders of {root}: {some}")
    return _assemble([*problems, *rows], root)


def _folders(root: Path) -> list[Path]:
    return sorted(p for p in root.iterdir() if p.is_dir() and not p.name.startswith((".", "__")))


def _assemble(rows: Sequence[Row | Problem], root: Path) -> Annotations:
    """Assemble the dataset; report the classes that have a single image."""
    images = scan(root)._replace(unannotated="without a label")
    annotations = assemble(rows, images, held_out=("validation", "test"))
    counts = Counter(entry.label for entry in annotations.entries)
    single = [
        Problem(entry.file, f"class with one image: {entry.label!r}", "", bad=False)
        for entry in annotations.entries
        if counts[entry.label] == 1
    ]
    return annotations._replace(problems=(*annotations.problems, *single))
