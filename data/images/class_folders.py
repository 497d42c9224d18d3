"""Pictures with a label each: a folder a class, or a table beside them.

    flowers/daisy/1.jpg, flowers/rose/7.jpg                       a folder a class
    flowers/train/daisy/1.jpg, flowers/test/rose/7.jpg            the same, split
    flowers/images/1.jpg, flowers/labels.csv                      image,label[,split]

Where nothing names a split, each class is split 80 : 10 : 10 by a hash of its pictures' names;
where only validation is missing, an eighth or so of the training pictures becomes it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from data.annotations.assemble import assemble
from data.annotations.entries import Listing, Problem, Row
from data.annotations.scan import SUFFIXES, Pictures, scan
from data.annotations.splits import SPLITS, hash_splits
from data.annotations.tables import find, nothing_found
from data.common.errors import UserError
from data.images.image_folder import read_table

LABEL_FILES = ("labels.csv", "labels.tsv", "labels.jsonl")
_UNTOLD = "without a label"


def read_labelled_pictures(source: Path) -> Listing:
    """Read a user's own labelled pictures, in either layout.

    Raises:
        UserError: naming what was looked for, where neither is there, and the file and line of
            what cannot be read.
    """
    tables = [source / name for name in LABEL_FILES if (source / name).is_file()]
    if len(tables) > 1:
        names = " and ".join(path.name for path in tables)
        raise UserError(f"{source} holds {names}: keep the one that is meant")
    if not tables:
        return _read_class_folders(source)
    images = find(source, ["images", "Images"], folder=True) or source
    read = list(read_table(tables[0], labels=True))
    rows = [row for row in read if isinstance(row, Row)]
    return _listing(rows, images, [problem for problem in read if isinstance(problem, Problem)])


def _read_class_folders(source: Path) -> Listing:
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
        own = list(_rows(folder, root, split))
        rows += own
        if not own:
            name = f"{folder.relative_to(root)}/"
            problems.append(Problem(name, "class without a picture", root.name, bad=False))
    if not rows:
        some = ", ".join(each.name for each, _ in folders[:8])
        raise UserError(f"no picture in the class folders of {root}: {some}")
    return _listing(rows, root, problems)


def _folders(root: Path) -> list[Path]:
    return sorted(p for p in root.iterdir() if p.is_dir() and not p.name.startswith((".", "__")))


def _rows(folder: Path, root: Path, split: str | None) -> Iterator[Row]:
    """Yield a row for each picture in a class's folder, however deep."""
    for name in scan(root, [str(folder.relative_to(root))]).files:
        if PurePosixPath(name).suffix.lower() in SUFFIXES:
            yield Row(name, None, split, str(folder.relative_to(root)), label=folder.name)


def _listing(rows: Sequence[Row], root: Path, problems: Sequence[Problem]) -> Listing:
    """Bring rows and pictures together; name the classes of one picture."""
    pictures = Pictures(root, scan(root).files, untold=_UNTOLD)
    split, notes = _split_by_class(rows)
    listing = assemble(split, pictures, problems)
    counts = Counter(entry.label for entry in listing.entries)
    lonely = [
        Problem(entry.file, f"class with one picture: {entry.label!r}", "", bad=False)
        for entry in listing.entries
        if counts[entry.label] == 1
    ]
    return replace(listing, problems=(*listing.problems, *lonely), notes=(*listing.notes, *notes))


def _split_by_class(rows: Sequence[Row]) -> tuple[list[Row], list[str]]:
    """Choose the splits that no row names, class by class, so that each has its share of all."""
    named = {row.split for row in rows} - {None}
    if "validation" in named:
        return list(rows), []
    by_class = defaultdict[str | None, list[str]](list)
    for row in rows:
        if row.split in (None, "train"):
            by_class[row.label].append(row.file)
    chosen = dict[str, str]()
    for files in by_class.values():
        chosen |= hash_splits(files) if len(set(files)) > 1 else dict.fromkeys(files, "train")
    if named:
        # What is tested on is there already, or not wanted.
        chosen = {file: "train" if way == "test" else way for file, way in chosen.items()}
        note = "no validation split given: some of each class's training pictures, by a hash"
    else:
        note = "no splits given: 80 % train, 10 % validation, 10 % test of each class, by a hash"
    return [row if row.split == "test" else row._replace(split=chosen[row.file]) for row in rows], [
        note
    ]
