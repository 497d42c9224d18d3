"""Read pretrained word vectors from text files of GloVe, fastText or word2vec."""

from __future__ import annotations

import gzip
import math
import sys
import zlib
from collections.abc import Container
from pathlib import Path

import numpy as np

from data.common.errors import UserError


def read_vectors(path: Path | str, words: Container[str], width: int) -> dict[str, np.ndarray]:
    """Return the vectors of the words that are in the file, float32 `[width]` each.

    A line has a word and its numbers, separated by spaces (Pennington et al. 2014, GloVe). The
    first line may have two counts instead, as fastText writes it. Words are case-sensitive; those
    that are not UTF-8 are counted on stderr. The file may be compressed (.gz).

    Raises:
        UserError: if a line has another count of numbers or a value that is not a number (with the
            line number), or if the file cannot be read.
    """
    found: dict[str, np.ndarray] = {}
    unreadable = 0
    packed = str(path).endswith(".gz")
    try:
        with gzip.open(path) if packed else open(path, "rb") as file:
            for number, line in enumerate(file, 1):
                cells = line.rstrip().split(b" ")
                if number == 1 and len(cells) == 2 and all(cell.isdigit() for cell in cells):
                    continue
                word = _word(path, number, cells, width)
                unreadable += word is None
                if word is not None and word in words:
                    found.setdefault(word, _vector(path, number, cells[-width:]))
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"cannot read {path}: {reason}") from error
    if unreadable:
        print(f"{path}: {unreadable:,} words are not UTF-8 and are left out", file=sys.stderr)
    return found


def _word(path: Path | str, number: int, cells: list[bytes], width: int) -> str | None:
    """Return the text before the numbers; None: not UTF-8. Some words contain spaces."""
    count = len(cells) - 1
    if count > width and not _is_number(cells[-width - 1]):
        count = width
    if count != width:
        raise UserError(
            f"{path}, line {number}: {count} numbers after the word, not {width}: each line must "
            "have a word and --embedding-dim numbers"
        )
    try:
        return b" ".join(cells[:-width]).decode()
    except UnicodeDecodeError:
        return None


def _vector(path: Path | str, number: int, cells: list[bytes]) -> np.ndarray:
    if not all(map(_is_number, cells)):
        wrong = next(cell for cell in cells if not _is_number(cell))
        raise UserError(
            f"{path}, line {number}: {wrong.decode(errors='replace')!r} is not a number"
        )
    return np.array(cells, np.float32)


def _is_number(cell: bytes) -> bool:
    try:
        return math.isfinite(float(cell))
    except ValueError:
        return False
