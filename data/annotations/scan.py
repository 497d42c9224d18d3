"""The images or clips that a folder holds, by the names that annotation files may use for them."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePath, PurePosixPath
from typing import NamedTuple
from urllib.parse import unquote

from data.annotations.source_files import HIDDEN, INVISIBLE
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
        places: name → place in its file, of images in larger files: see `data.media.packed`.
        lookup: what `name_of` looks up, filled when it is needed; None: exact names only.
    """

    root: Path
    files: Mapping[str, str]
    kind: str = "image"
    unannotated: str = "without captions"
    suffixes: frozenset[str] = IMAGE_SUFFIXES
    by_stem: Mapping[str, str] | None = None
    places: Mapping[str, str] | None = None
    lookup: dict[str, str] | None = None

    def name_of(self, file: str) -> str:
        """Return the name in `files` of a file that an annotation names, present or not."""
        if file not in self.files:
            file = unicodedata.normalize("NFC", file)
        if self.by_stem is not None:
            return self.by_stem.get(file, f"{file}.mp4")
        if (path := self.files.get(file)) is not None:
            return path if path == file else file  # the string that is in memory already
        tidy = PurePosixPath(INVISIBLE.sub("", file).replace("\\", "/"))
        return self._find(tidy) or self._find(PurePosixPath(unquote(str(tidy)))) or str(tidy)

    def _find(self, path: PurePosixPath) -> str:
        """Return the only file that may be meant by a path that is not there; "" if none is."""
        parts = path.parts
        if self.root.name in parts[:-1]:  # images/a.jpg, set/images/a.jpg, /home/me/images/a.jpg
            parts = parts[parts.index(self.root.name) + 1 :]
        elif path.is_absolute() or (parts and parts[0].endswith(":")):
            parts = parts[-1:]  # of another machine
        if (name := "/".join(parts)) in self.files:
            return name
        if self.lookup is None:
            return ""
        if not self.lookup:
            for file in filter(self.has_suffix, self.files):
                for key in _keys(file):
                    self.lookup[key] = file if self.lookup.setdefault(key, file) == file else ""
        # A path with folders means one file only, a bare name any file that is called so.
        keys = _keys(name)[:3] if len(parts) == 1 else _keys(name)[:1]
        return next(filter(None, (self.lookup.get(key, "") for key in keys)), "")

    def has_suffix(self, file: str) -> bool:
        """Return whether a file's suffix is that of an image (or clip)."""
        return os.path.splitext(file)[1].lower() in self.suffixes


def scan(root: Path, folders: Iterable[str] = ("",)) -> MediaFolder:
    """List the files under `root` (or only under `folders` of it), except hidden ones."""
    files: dict[str, str] = {}
    for folder in folders:
        for path in _walk(root, folder, frozenset()):
            # A name that is not Unicode is printable in this form, and matches no annotation.
            printable = path.encode("utf-8", "backslashreplace").decode()
            name = unicodedata.normalize("NFC", printable)
            if name in files:  # names that differ in normal form only keep their own
                other = files[name] if name == path else path
                files[other] = other
            if name not in files or name == path:
                files[name] = name if name == path else path  # one string in memory, not two
    return MediaFolder(root, files, lookup={})


def _keys(file: str) -> tuple[str, ...]:
    """Return what may stand for a file: path, name, number; the same without suffix.

    >>> _keys("a/007.JPG")
    ('a/007.jpg', '/007.jpg', '#7.jpg', 'a/007', '/007', '#7')
    """
    path = " ".join(INVISIBLE.sub("", file).split()).casefold()  # macOS writes U+202F before PM
    forms = path, os.path.splitext(path)[0]
    names = [(form, form.rpartition("/")[2].strip()) for form in forms]
    return tuple(key for form, name in names for key in (form, f"/{name}", f"#{name.lstrip('0')}"))


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
        if entry.name.startswith(HIDDEN):
            continue
        if entry.is_symlink() and not os.path.exists(entry.path):
            continue  # a broken link, or one to itself
        if entry.is_dir():
            yield from _walk(root, path, above | {here})
        elif entry.is_file():
            yield path
