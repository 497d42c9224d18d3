"""A folder for each class, of images or of clips.

    flowers/daisy/1.jpg, flowers/rose/7.jpg                       a folder a class
    flowers/train/daisy/1.jpg, flowers/test/rose/7.jpg            the same, split

Splits that nothing names are chosen: see `data.annotations.balance`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from data.annotations.entries import Problem, Row
from data.annotations.scan import MediaFolder
from data.annotations.source_files import find, nothing_found
from data.annotations.splits import SPLITS
from data.common.errors import UserError

Scan = Callable[[Path, Iterable[str]], MediaFolder]


def read_class_folders(
    source: Path, scan: Scan, looked_for: Sequence[str]
) -> tuple[list[Row | Problem], MediaFolder]:
    """Read the class folders of a source.

    Args:
        source: the folder of the dataset.
        scan: lists the images or clips of folders: see `data.annotations.scan.scan`.
        looked_for: other layouts, for the error if there are no class folders.

    Returns:
        A row for each file and a problem for each empty class; and all files.

    Raises:
        UserError: if there are no class folders, or nothing is in them.
    """
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
        raise nothing_found(source, "class folders", ["CLASS/", "train/CLASS/", *looked_for])
    rows, problems = list[Row](), list[Problem]()
    for folder, split in folders:
        name = str(folder.relative_to(root))
        media = scan(root, [name])  # however deep
        files = list(filter(media.has_suffix, media.files))
        rows += [Row(file, None, split, name, label=folder.name) for file in files]
        if not files:
            reason = f"class without {media.kind}s"
            problems.append(Problem(f"{name}/", reason, root.name, bad=False))
    if not rows:
        some = ", ".join(each.name for each, _ in folders[:8])
        raise UserError(f"no {media.kind} in the class folders of {root}: {some}")
    return [*problems, *rows], scan(root, [""])


def _folders(root: Path) -> list[Path]:
    return sorted(p for p in root.iterdir() if p.is_dir() and not p.name.startswith((".", "__")))
