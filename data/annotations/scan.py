"""What a folder of pictures or clips holds, by the names that its files have under it."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePath, PurePosixPath
from typing import NamedTuple

SUFFIXES = {".jpg", ".jpeg", ".png", ".gif", ".bmp", ".webp", ".tif", ".tiff", ".avif", ".jp2"}


class Pictures(NamedTuple):
    """The files of an image folder by their name relative to it, in Unicode's NFC form.

    Attributes:
        root: the folder.
        files: what the disk calls each, relative to the folder: nearly always the same text. A part
            of a clip has a name of its own: "a.mp4#t=1.5,4" lies in "a.mp4".
        kind: what messages call one of them.
        untold: the reason why one is of no use of which nothing is said.
        suffixes: of the files that need a caption or a label.
    """

    root: Path
    files: Mapping[str, str]
    kind: str = "picture"
    untold: str = "without captions"
    suffixes: frozenset[str] = frozenset(SUFFIXES)


def scan(root: Path, folders: Iterable[str] = ("",)) -> Pictures:
    """List the files under `root` (only in `folders`, where given), hidden ones left out."""
    files = {}
    for folder in folders:
        for place in _walk(root, folder, frozenset()):
            # A name that is not Unicode can be shown, and never meets one in a caption file.
            shown = place.encode("utf-8", "backslashreplace").decode()
            name = unicodedata.normalize("NFC", shown)
            files[name] = name if name == place else place  # one text in memory, not two
    return Pictures(root, files)


def _walk(root: Path, folder: str, above: frozenset[str]) -> Iterator[str]:
    here = os.path.realpath(root / folder)
    if here in above:  # a symbolic link to a folder around it
        return
    with os.scandir(root / folder) as entries:
        left = sorted(entries, key=lambda entry: entry.name, reverse=True)
    parts = PurePath(folder).parts
    while left:
        entry = left.pop()
        place = "/".join((*parts, entry.name))
        if entry.name.startswith((".", "__MACOSX")):
            continue
        if entry.is_symlink() and not os.path.exists(entry.path):
            continue  # it leads nowhere, or to itself
        if entry.is_dir():
            yield from _walk(root, place, above | {here})
        elif entry.is_file():
            yield place


def key_of(file: str, pictures: Pictures) -> str:
    """Return the name under which `pictures` has, or would have, the file."""
    file = unicodedata.normalize("NFC", file)
    if (place := pictures.files.get(file)) is not None:
        return place if place == file else file  # the text that is there already
    tidy = PurePosixPath(file.replace("\\", "/"))
    inner = PurePosixPath(*tidy.parts[1:])
    # People write "images/a.jpg" as well as "a.jpg".
    if tidy.parts[:1] == (pictures.root.name,) and str(inner) in pictures.files:
        return str(inner)
    return str(tidy)
