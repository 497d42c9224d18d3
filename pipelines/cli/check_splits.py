"""`wordreel check-splits`: find what two splits of a dataset share, before it makes scores lie."""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from data.annotations.entries import Entry
from data.common.errors import UserError
from data.common.files import atomic_write
from data.sharding.dataset_kinds import Pictures, kind_of, list_source, preparable
from pipelines.runtime.console import number, quiet_tensorflow

if TYPE_CHECKING:
    from data.sharding.split_checks import Leak
    from pipelines.reports.gallery import Card

SUMMARY = "find pictures, groups, look-alikes and captions that two splits share"
SHOWN, LINES = 200, 20  # pairs on the sheet, and on the screen


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    names = ", ".join(preparable())
    parser.add_argument("dataset", metavar="DATASET", help=f"one of {names}")
    parser.add_argument("--source", metavar="DIR", help="the folder it lies in")
    parser.add_argument(
        "--near",
        type=number(int, "a whole number"),
        default=4,
        metavar="N",
        help="pictures look alike if at most N of the 64 bits of their perceptual hashes differ "
        "(default: 4)",
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("split-check.html"),
        metavar="FILE",
        help="the sheet with the pairs side by side (default: split-check.html)",
    )


def run(given: argparse.Namespace) -> int:
    """Print what is shared and write the sheet; return 0, or 1 if anything is."""
    if not 0 <= given.near <= 32:
        raise UserError(f"--near is between 0 and 32 bits, not {given.near}")
    kind = kind_of(given.dataset)
    options = kind.options(given.dataset, {})
    entries = list_source(given.dataset, given.source, options).entries
    from data.common.progress import progress
    from data.sharding.split_checks import leaks

    with progress(len(entries), "comparing", kind.unit) as bar:
        found, blind = leaks(entries, near=given.near, bar=bar)
    splits = Counter(entry.split for entry in entries)
    lines = [f"{given.dataset}: {', '.join(f'{s} {n:,}' for s, n in splits.items())} {kind.unit}"]
    kinds = Counter(leak.kind for leak in found)
    told = ", ".join(f"{count:,} {name}" for name, count in kinds.items())
    lines.append(f"{len(found):,} pairs across splits{': ' * bool(told)}{told}")
    if blind:
        some = ", ".join(entry.file for entry in blind[:LINES]) + ", …" * (len(blind) > LINES)
        lines.append(f"{len(blind):,} {kind.unit} could not be read and were not compared: {some}")
    print("\n".join(lines))
    for leak in found[:LINES]:
        print(f"  {leak}")
    if len(found) > LINES:
        print(f"  and {len(found) - LINES:,} more")
    _write(given.out, given.dataset, lines, found, kind, options)
    print(f"side by side in {given.out}")
    return int(bool(found))


def _write(
    path: Path,
    dataset: str,
    lines: list[str],
    found: list[Leak],
    kind: Pictures,
    options: dict[str, object],
) -> None:
    quiet_tensorflow()
    from pipelines.reports.gallery import Section, page

    sections = [
        Section(
            name,
            [_card(leak, kind, options) for leak in found if leak.kind == name][:SHOWN],
        )
        for name in dict.fromkeys(leak.kind for leak in found)
    ]
    text = "\n".join([*lines, *map(str, found)])
    with atomic_write(path) as file:
        file.write(page(f"{dataset}: what splits share", text, sections, width=340))


def _card(leak: Leak, kind: Pictures, options: dict[str, object]) -> Card:
    from pipelines.reports.gallery import Card
    from pipelines.reports.thumbnails import thumbnail

    pictures, lines = [], [leak.detail] if leak.detail else []
    for entry in (leak.first, leak.second):
        if (picture := _picture(entry, kind, options)) is not None:
            pictures.append(thumbnail(picture).uri)
        lines.append(f"{entry.split} · {entry.file} · {' / '.join(entry.captions[:5])}")
    return Card(f"{leak.first.file} – {leak.second.file}", pictures, lines)


def _picture(entry: Entry, kind: Pictures, options: dict[str, object]) -> bytes | None:
    """Return an example's picture, or the middle frame of a clip."""
    if not kind.field:
        return None
    try:
        stored = getattr(kind.load(entry, options).example, kind.field)
    except (UserError, OSError):
        return None
    picture: bytes = stored[len(stored) // 2] if isinstance(stored, list) else stored
    return picture
