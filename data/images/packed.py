"""Captioned or labeled images as they are distributed today: Parquet tables and tar shards."""

from __future__ import annotations

import json
import re
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from data.annotations.entries import Problem, Row
from data.annotations.scan import MediaFolder, scan
from data.annotations.splits import SPLITS
from data.annotations.tables import CAPTION, LABEL, SPLIT, Layout, make_row
from data.common.errors import UserError
from data.media.packed import PARQUET, TAR
from data.media.suffixes import IMAGE_SUFFIXES

COLUMNS = Layout({"caption": CAPTION, "label": LABEL, "split": SPLIT})
_TEXTS = {"json": "", "txt": "caption", "caption": "caption", "cls": "label"}  # beside an image


class _Packed(NamedTuple):
    """An image in a packed file: its name, its place (see `data.media.packed`), its annotations."""

    name: str
    place: str
    row: Row | Problem


def read_packed(source: Path, *, labels: bool) -> tuple[list[Row | Problem], MediaFolder] | None:
    """Read the tar shards of a folder, else its Parquet tables with images.

    Args:
        source: the folder; the names of its files and folders may begin with a split.
        labels: whether labels are wanted, not captions.

    Returns:
        Rows and a folder for `assemble`; None if there is no such file.

    Raises:
        UserError: for a file that cannot be read.
    """
    folder = scan(source)
    for suffix, read in ((".tar", _read_tar), (".parquet", _read_parquet)):
        paths = [path for path in folder.files.values() if path.lower().endswith(suffix)]
        rows, files, places = list[Row | Problem](), dict[str, str](), dict[str, str]()
        for path in sorted(paths):
            for found in read(source, path, labels):
                rows.append(found.row)
                files[found.name], places[found.name] = path, found.place
        if files:
            return rows, MediaFolder(source, files, places=places)
    return None


def split_of(path: str) -> str | None:
    """Return the split that the name of a file or its folders begins with; None if none does.

    >>> split_of("data/train-00000-of-00002.parquet"), split_of("val/00000.tar"), split_of("0.tar")
    ('train', 'validation', None)
    """
    words = (re.split(r"[-_.\d]", part.lower())[0] for part in reversed(PurePosixPath(path).parts))
    return next((SPLITS[word] for word in words if word in SPLITS), None)


def _read_parquet(source: Path, path: str, labels: bool) -> Iterator[_Packed]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(source / path) as file:
            schema = file.schema_arrow
            image = next((field.name for field in schema if _holds_images(field.type)), None)
            if image is None:
                return
            names = [name for name in schema.names if name != image]
            places = {role: found for role, found in COLUMNS.locate(names).items() if found}
            wanted = "label" if labels else "caption"
            if wanted not in places:
                accepted = COLUMNS.columns[wanted]
                listed = ", ".join((*accepted.names, *accepted.others))
                raise UserError(f"{source / path}: no column {wanted} (name it {listed}): {names}")
            used = [names[index] for found in places.values() for index in found]
            classes = _class_names(schema.metadata or {}, names[places[wanted][0]])
            for group in range(file.num_row_groups):
                table = file.read_row_group(group, columns=used).to_pylist()
                for number, cells in enumerate(table):
                    name = f"{path}#{group}.{number}"
                    place = f"{PARQUET} {group} {number} {image}"
                    for row in _make_rows(name, cells, split_of(path), labels, classes):
                        yield _Packed(name, place, row)
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"{source / path} cannot be read: {error}") from None


def _holds_images(kind: Any) -> bool:
    import pyarrow as pa

    binary = pa.types.is_binary, pa.types.is_large_binary
    if pa.types.is_struct(kind):
        return any(kind[i].name == "bytes" for i in range(kind.num_fields))
    return any(is_kind(kind) for is_kind in binary)


def _class_names(metadata: dict[bytes, bytes], column: str) -> Sequence[str]:
    """Return the names of the numbers in a column, as the datasets library stores them."""
    try:
        features = json.loads(metadata[b"huggingface"])["info"]["features"]
        names: list[str] = features[column]["names"]
    except (KeyError, TypeError, ValueError):
        return ()
    return names


def _make_rows(
    name: str, cells: dict[str, Any], split: str | None, labels: bool, classes: Sequence[str]
) -> Iterator[Row | Problem]:
    """Yield a row for each caption, or one with the label."""
    names, values = list(cells), list(cells.values())
    row = make_row(COLUMNS, name, values, COLUMNS.locate(names))
    if isinstance(row, Problem):
        yield row
        return
    part = row.split or split
    if labels:
        label = row.get("label")
        known = classes and label.isdecimal() and int(label) < len(classes)
        yield Row(name, None, part, name, label=classes[int(label)] if known else label or None)
        return
    for caption in row.texts or ("",):
        yield Row(name, caption, part, name)


def _read_tar(source: Path, path: str, labels: bool) -> Iterator[_Packed]:
    """Read a shard of WebDataset or img2dataset: KEY.jpg with KEY.txt, KEY.json or KEY.cls."""
    images, texts = dict[str, tuple[str, str]](), dict[str, dict[str, Any]]()
    try:
        with tarfile.open(source / path, "r:") as tar:
            for member in filter(tarfile.TarInfo.isfile, tar):
                folder, _, base = member.name.rpartition("/")
                stem, _, suffix = base.partition(".")
                if f".{suffix.lower().rpartition('.')[2]}" in IMAGE_SUFFIXES:
                    place = f"{TAR} {member.offset_data} {member.size}"
                    images[f"{folder}/{stem}"] = member.name, place
                elif suffix in _TEXTS and (file := tar.extractfile(member)):
                    texts.setdefault(f"{folder}/{stem}", {})[suffix] = file.read()
    except (tarfile.TarError, OSError) as error:
        raise UserError(f"{source / path} cannot be read as .tar: {error}") from None
    for stem, (name, place) in images.items():
        cells = _tar_cells(texts.get(stem, {}))
        for row in _make_rows(f"{path}#{name}", cells, split_of(path), labels, ()):
            yield _Packed(f"{path}#{name}", place, row)


def _tar_cells(texts: dict[str, bytes]) -> dict[str, Any]:
    """Return the columns of an image: its JSON, unless a .txt or .cls gives the same."""
    cells: dict[str, Any] = {}
    try:
        found = json.loads(texts.get("json", b"{}"))
        cells = {name: found[name] for name in ("caption", "captions", "label") if name in found}
    except (ValueError, TypeError):
        pass  # without captions, the image is reported
    for suffix, name in _TEXTS.items():
        if suffix in texts and name:
            text = texts[suffix].decode("utf-8", "surrogateescape").strip()
            cells = {key: value for key, value in cells.items() if not key.startswith(name)}
            cells[name] = text
    return cells
