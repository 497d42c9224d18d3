"""Images and clips in larger files, tar shards and Parquet tables, read without unpacking them."""

from __future__ import annotations

import functools
import threading
from pathlib import Path
from typing import Any

from data.common.errors import UserError

# The place of an image or clip in its file: "tar OFFSET SIZE", "parquet ROW-GROUP ROW COLUMN".
TAR, PARQUET = "tar", "parquet"
_LOCK = threading.Lock()  # threads that want the same row group wait for the first


def read_content(path: Path, place: str) -> bytes:
    """Return the bytes of a file, or of the image or clip at a place in it.

    Raises:
        UserError: if the file ends before, or the place holds none.
        OSError: if it cannot be read.
    """
    if not place:
        return path.read_bytes()
    kind, first, second, *column = place.split(" ")
    if kind == TAR:
        with path.open("rb") as file:
            file.seek(int(first))
            return file.read(int(second))
    with _LOCK:
        cell = _row_group(path, int(first), column[0], path.stat().st_mtime_ns)[int(second)].as_py()
    data = cell.get("bytes") if isinstance(cell, dict) else cell
    if not isinstance(data, bytes):
        raise UserError("no image or clip in this row")
    return data


def locality(place: str) -> str:
    """Return what places have in common that are best read together; "" if it does not matter."""
    return " ".join(place.split(" ")[:2]) if place.startswith(PARQUET) else ""


@functools.lru_cache(maxsize=2)
def _row_group(path: Path, number: int, column: str, changed: int) -> Any:
    """Return the cells of a column; `changed` makes a new file another key."""
    import pyarrow.parquet as pq

    del changed
    with pq.ParquetFile(path) as file:
        return file.read_row_group(number, columns=[column]).column(0)
