"""The images or clips that a folder holds, by the names that annotation files may use for them."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePath, PurePosixPath
from typing import NamedTuple

from data.media.suffixes import IMAGE_SUFFIXES


class MediaFolder(NamedTuple):
    """The files of an image or clip folder.

    Attributes:
        root: the folder.
        files: name in Unicode's NFC form → path on disk, both relative to the folder.
        kind: "image" or "clip", for messages.
        unannotated: the problem of a file that no row annotates.
        suffixes: of the files that must be annotated.
        by_stem: name without folder and suffix → name, where annotations use the former.
    """

    root: Path
    files: Mapping[str, str]
    kind: str = "image"
    unannotated: str = "without captions"
    suffixes: frozenset[str] = IMAGE_SUFFIXES
    by_stem: Mapping[str, str] | None = None

    def name_of(self, file: str) -> str:
        """Return the name in `files` of a file that an annotation names, present or not."""
        file = unicodedata.normalize("NFC", file)
        if self.by_stem is not None:
            return self.by_stem.get(file, f"{file}.mp4")
        if (path := self.files.get(file)) is not None:
            return path if path == file else file  # the string that is in memory already
        tidy = PurePosixPath(file.replace("\\", "/"))
        inner = PurePosixPath(*tidy.parts[1:])
        # Annotations may contain "images/a.jpg" as well as "a.jpg".
        if tidy.parts[:1] == (self.root.name,) and str(inner) in self.files:
            return str(inner)
        return str(tidy)

    def has_suffix(self, file: str) -> bool:
        """Return whether a file's suffix is that of an image (or clip)."""
        return os.path.splitext(file)[1].lower() in self.suffixes


def scan(root: Path, folders: Iterable[str] = ("",)) -> MediaFolder:
    """List the files under `root` (or only under `folders` of it), except hidden ones."""
    files = {}
    for folder in folders:
        for path in _walk(root, folder, frozenset()):
            # A name that is not Unicode is printable in this form, and matches no annotation.
            printable = path.encode("utf-8", "backslashreplace").decode()
            name = unicodedata.normalize("NFC", printable)
            files[name] = name if name == path else path  # one string in memory, not two
    return MediaFolder(root, files)


def _walk(root: Path, folder: str, above: frozenset[str]) -> Iterator[str]:
    here = os.path.realpath(root / folder)
    if here in above:  # a symbolic link to a folder around it
        return
    with os.scandir(root / folder) as entries:
        left = sorted(entries, key=lambda entry: entry.name, reverse=True)
    parts = PurePath(folder).parts
    while left:
        entry = left.pop()
        path = "/".join((*parts, entry.name))
        if entry.name.startswith((".", "__MACOSX")):
            continue
        if entry.is_symlink() and not os.path.exists(entry.path):
            continue  # a broken link, or one to itself
        if entry.is_dir():
            yield from _walk(root, path, above | {here})
        elif entry.is_file():
            yield path
