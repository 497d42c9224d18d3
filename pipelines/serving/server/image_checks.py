"""What pictures announce, read from their first bytes before anything is decoded."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from pipelines.serving.server.errors import RequestError

KINDS = "JPEG, PNG, GIF and BMP"
# Markers of a JPEG that are followed by its size: all SOFs, not DHT, JPG, DAC.
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


def size(encoded: bytes) -> tuple[int, int] | None:
    r"""Return the width and height that a picture announces; None if it is none of `KINDS`.

    >>> size(b"\x89PNG\r\n\x1a\n" + b"\0\0\0\rIHDR" + b"\0\0\xc3\x50" * 2)
    (50000, 50000)
    """
    if encoded.startswith(b"\x89PNG\r\n\x1a\n"):
        return _number(encoded, 16, 4), _number(encoded, 20, 4)
    if encoded.startswith(b"GIF8"):
        return _number(encoded, 6, 2, "little"), _number(encoded, 8, 2, "little")
    if encoded.startswith(b"BM"):
        sides = [_number(encoded, at, 4, "little") for at in (18, 22)]
        width, height = (min(side, 2**32 - side) for side in sides)  # rows from the top: negative
        return width, height
    if encoded.startswith(b"\xff\xd8\xff"):
        return _jpeg(encoded)
    return None


def check_sizes(inputs: Mapping[str, np.ndarray], most: int) -> None:
    """Refuse a request in which the header of a picture announces too many pixels.

    Raises:
        RequestError: 413, naming the row and its size.
    """
    for name, array in inputs.items():
        if name.endswith("_bytes"):
            for row, encoded in enumerate(array.ravel().tolist()):
                width, height = size(encoded) or (0, 0)
                if width * height > most:
                    raise RequestError(
                        413,
                        f"Input {name}: picture {row} announces {width:,} × {height:,} pixels, at "
                        f"most {most:,} are taken",
                    )


def refuse_unreadable(inputs: Mapping[str, np.ndarray], outputs: Mapping[str, np.ndarray]) -> None:
    """Refuse a request if no row of it could be read; a single row is then answered in words.

    Where some rows could, the others are answered with `valid` false.

    Raises:
        RequestError: 400.
    """
    valid = outputs.get("valid")
    if valid is None or not valid.size or valid.any():
        return
    for name, array in inputs.items():
        if name.endswith("_bytes"):
            problem = _problem(array.ravel().tolist())
            raise RequestError(400, f"Input {name}: {problem}")
        if name == "text":
            raise RequestError(400, f"Input {name}: there is no word in it that could be read")


def _problem(pictures: Iterable[bytes]) -> str:
    for encoded in pictures:
        if not encoded:
            return "this is an empty file (0 bytes), no picture"
        if size(encoded) is None:
            start = encoded.lstrip()[:20].lower()
            page = "a web page, " if start.startswith((b"<!doctype", b"<html")) else ""
            return f"this is {page}not a picture; {KINDS} can be read"
    return "this picture cannot be decoded: it is cut short or damaged"


def _jpeg(encoded: bytes) -> tuple[int, int]:
    """Walk over a JPEG's segments to the one that holds its size; 0 × 0 if there is none."""
    at = 2
    while at + 9 <= len(encoded) and encoded[at] == 0xFF:
        marker = encoded[at + 1]
        if marker in _FRAMES:
            return _number(encoded, at + 7, 2), _number(encoded, at + 5, 2)
        at += 1 if marker == 0xFF else 2 + _number(encoded, at + 2, 2)
    return 0, 0


def _number(encoded: bytes, at: int, width: int, order: str = "big") -> int:
    return int.from_bytes(encoded[at : at + width], "little" if order == "little" else "big")
