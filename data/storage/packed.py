"""Captioned or labeled images and clips as corpora are distributed: Parquet tables, tar shards."""

from __future__ import annotations

import dataclasses
import json
import tarfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from data.annotations.entries import Problem, Row
from data.annotations.scan import MediaFolder, scan
from data.annotations.source_files import HIDDEN
from data.annotations.splits import split_of_path
from data.annotations.tables import Layout, annotations_of, make_row
from data.common.errors import UserError
from data.media.packed import PARQUET, TAR

_TEXTS = {"json": "", "txt": "caption", "caption": "caption", "cls": "label"}  # beside a file


class _Packed(NamedTuple):
    """An image or clip in a packed file: its name, its place (see `data.media.packed`), a row."""

    name: str
    place: str
    row: Row | Problem


def read_packed(
    source: Path, layout: Layout, scan: Callable[[Path], MediaFolder] = scan
) -> tuple[list[Row | Problem], MediaFolder] | None:
    """Read the tar shards of a folder, else its Parquet tables with images or clips.

    Args:
        source: the folder; the names of its files and folders may contain a split.
        layout: the columns of a Parquet table, and of the JSON in a shard.
        scan: lists the files of the folder.

    Returns:
        Rows and a folder for `assemble`; None if there is no such file.

    Raises:
        UserError: for a file that cannot be read.
    """
    columns = {role: column for role, column in layout.columns.items() if role != "file"}
    layout, folder = dataclasses.replace(layout, columns=columns), scan(source)
    for suffix, read in ((".tar", _read_tar), (".parquet", _read_parquet)):
        paths = [path for path in folder.files.values() if path.lower().endswith(suffix)]
        rows, files, places = list[Row | Problem](), dict[str, str](), dict[str, str]()
        for path in sorted(paths):
            for found in read(folder, path, layout):
                rows.append(found.row)
                files[found.name], places[found.name] = path, found.place
        if files:
            return rows, folder._replace(files=files, places=places, lookup=None)
    return None


def _read_parquet(folder: MediaFolder, path: str, layout: Layout) -> Iterator[_Packed]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(folder.root / path) as file:
            schema = file.schema_arrow
            content = next((field.name for field in schema if _holds_bytes(field.type)), None)
            if content is None:
                return
            names = [name for name in schema.names if name != content]
            places = {role: found for role, found in layout.locate(names).items() if found}
            if wrong := layout.missing(places):
                raise UserError(f"{folder.root / path}: {wrong}: {names}")
            used = [names[index] for found in places.values() for index in found]
            label = names[places["label"][0]] if "label" in places else ""
            classes = _class_names(schema.metadata or {}, label)
            for group in range(file.num_row_groups):
                table = file.read_row_group(group, columns=used).to_pylist()
                for number, cells in enumerate(table):
                    if classes:  # -1: the label of the test split is secret
                        known = cells[label] in range(len(classes))
                        cells[label] = classes[int(cells[label])] if known else None
                    place = f"{PARQUET} {group} {number} {content}"
                    yield from _packed(f"{path}#{group}.{number}", place, cells, layout)
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"{folder.root / path} cannot be read: {error}") from None


def _holds_bytes(kind: Any) -> bool:
    import pyarrow as pa

    if pa.types.is_struct(kind):
        return any(kind[i].name == "bytes" for i in range(kind.num_fields))
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _class_names(metadata: Mapping[bytes, bytes], column: str) -> Sequence[str]:
    """Return the names of the numbers in a column, as the datasets library stores them."""
    try:
        features = json.loads(metadata[b"huggingface"])["info"]["features"]
        names: list[str] = features[column]["names"]
    except (KeyError, TypeError, ValueError):
        return ()
    return names


def _packed(name: str, place: str, cells: dict[str, Any], layout: Layout) -> Iterator[_Packed]:
    """Yield a row for each caption, or one with the label."""
    row = make_row(layout, name, list(cells.values()), layout.locate(list(cells)))
    if isinstance(row, Problem):
        yield _Packed(name, place, row)
        return
    for found in annotations_of(row, layout, name):
        if isinstance(found, Row):
            found = found._replace(split=found.split or split_of_path(name.partition("#")[0]))
        yield _Packed(name, place, found)


def _read_tar(folder: MediaFolder, path: str, layout: Layout) -> Iterator[_Packed]:
    """Read a shard of WebDataset or img2dataset: KEY.jpg with KEY.txt, KEY.json or KEY.cls."""
    files, texts = dict[str, tuple[str, str]](), dict[str, dict[str, bytes]]()
    try:
        with tarfile.open(folder.root / path, "r:") as tar:
            for member in filter(tarfile.TarInfo.isfile, tar):
                above, _, base = member.name.rpartition("/")
                stem, _, suffix = base.partition(".")
                if base.startswith(HIDDEN):
                    continue
                if folder.has_suffix(base):
                    place = f"{TAR} {member.offset_data} {member.size}"
                    files[f"{above}/{stem}"] = member.name, place
                elif suffix in _TEXTS and (file := tar.extractfile(member)):
                    texts.setdefault(f"{above}/{stem}", {})[suffix] = file.read()
    except (tarfile.TarError, OSError) as error:
        raise UserError(f"{folder.root / path} cannot be read as .tar: {error}") from None
    for stem, (name, place) in files.items():
        cells = _tar_cells(texts.get(stem, {}), layout)
        yield from _packed(f"{path}#{name}", place, cells, layout)


def _tar_cells(texts: Mapping[str, bytes], layout: Layout) -> dict[str, Any]:
    """Return the columns of a file: those of its JSON, unless a .txt or .cls gives the same."""
    given = {
        role: texts[suffix].decode("utf-8", "surrogateescape").strip()
        for suffix, role in _TEXTS.items()
        if suffix in texts and role in layout.columns
    }
    try:
        found = json.loads(texts.get("json", b"{}"))
        names = list(found)
        places = layout.locate(names).items()
        cells = {names[i]: found[names[i]] for role, at in places if role not in given for i in at}
    except (ValueError, TypeError, AttributeError):
        cells = {}  # without captions, the file is reported
    return {**cells, **given}
