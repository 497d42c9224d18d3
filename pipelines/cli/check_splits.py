"""`wordreel check-splits`: find overlaps between splits, which make scores misleading."""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from data.annotations.entries import Entry
from data.common.errors import UserError
from data.common.files import atomic_write
from data.sharding.datasets import PREPARABLE, load_annotations, preparable
from data.storage.cache import data_home, source_cache
from data.storage.dataset_info import Dataset, source_folder
from pipelines.runtime.console import quiet_tensorflow
from pipelines.runtime.numbers import Constraint, add_number

if TYPE_CHECKING:
    from data.sharding.split_checks import Leak
    from pipelines.reports.gallery import Card

SUMMARY = "find images, near-duplicates, groups and captions that two splits share"
MAX_CARDS, MAX_LINES = 200, 20  # pairs of a kind on the page; pairs that are printed


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("dataset", metavar="DATASET", help=f"one of {', '.join(PREPARABLE)}")
    parser.add_argument("--source", metavar="DIR", help="the folder of the dataset")
    bits = Constraint("between 0 and 32", lambda x: 0 <= x <= 32)
    text = "near-duplicates: images whose perceptual hashes differ in at most N of 64 bits"
    add_number(parser, "--near", int, bits, text, 4)
    text = "output HTML page that compares the pairs (default: split-check.html)"
    out = Path("split-check.html")
    parser.add_argument("--out", type=Path, default=out, metavar="FILE", help=text)


def run(given: argparse.Namespace) -> int:
    """Print the overlaps and write the page; return 1 if there are any, else 0."""
    dataset = preparable(given.dataset)
    options = dataset.options({})
    source = source_folder(dataset, given.source)
    cache = source_cache(data_home(), given.dataset, source)
    entries = load_annotations(given.dataset, source, options, cache).entries
    from data.common.progress import progress
    from data.sharding.split_checks import find_leaks

    with progress(len(entries), "comparing", dataset.unit) as bar:
        found, unreadable = find_leaks(entries, near=given.near, bar=bar)
    splits = Counter(entry.split for entry in entries)
    lines = [
        f"{given.dataset}: {', '.join(f'{s} {n:,}' for s, n in splits.items())} {dataset.unit}"
    ]
    kinds = Counter(leak.kind for leak in found)
    counts = ", ".join(f"{count:,} {name}" for name, count in kinds.items())
    lines.append(f"{len(found):,} pairs across splits{': ' * bool(counts)}{counts}")
    if unreadable:
        some = ", ".join(entry.file for entry in unreadable[:MAX_LINES])
        some += ", …" * (len(unreadable) > MAX_LINES)
        lines.append(f"{len(unreadable):,} {dataset.unit} could not be read or compared: {some}")
    print("\n".join(lines))
    for leak in found[:MAX_LINES]:
        print(f"  {leak}")
    if len(found) > MAX_LINES:
        print(f"  and {len(found) - MAX_LINES:,} more")
    _write(given.out, dataset, lines, found, options)
    print(f"page {given.out}")
    return int(bool(found))


def _write(
    path: Path, dataset: Dataset, lines: list[str], found: list[Leak], options: dict[str, object]
) -> None:
    quiet_tensorflow()
    from pipelines.reports.gallery import page

    sections = {
        name: [_card(leak, dataset, options) for leak in found if leak.kind == name][:MAX_CARDS]
        for name in dict.fromkeys(leak.kind for leak in found)
    }
    text = "\n".join([*lines, *map(str, found)])
    with atomic_write(path) as file:
        file.write(page(f"{dataset.name}: overlaps between splits", text, sections, width=340))


def _card(leak: Leak, dataset: Dataset, options: dict[str, object]) -> Card:
    from pipelines.reports.gallery import Card
    from pipelines.reports.thumbnails import thumbnail

    images, lines = [], [leak.detail] if leak.detail else []
    for entry in (leak.first, leak.second):
        if (image := _image(entry, dataset, options)) is not None:
            images.append(thumbnail(image).uri)
        lines.append(f"{entry.split} · {entry.file} · {' / '.join(entry.captions[:5])}")
    return Card(f"{leak.first.file} – {leak.second.file}", images, lines)


def _image(entry: Entry, dataset: Dataset, options: dict[str, object]) -> bytes | None:
    """Return an image as it is stored, or the middle frame of a clip."""
    if not dataset.content:
        return None
    try:
        stored = dataset.load(entry, options).example[dataset.content]
    except (UserError, OSError):
        return None
    image: bytes = stored[len(stored) // 2] if isinstance(stored, list) else stored
    return image
