"""Small sources of captioned images, for the tests of readers."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from data.annotations.entries import Annotations


def fill(folder: Path, files: Mapping[str, Any]) -> Path:
    """Write files and return the folder: text as it is, bytes as they are, other things as JSON."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, (str, bytes)):
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        else:
            path.write_text(json.dumps(content), encoding="utf-8")
    return folder


def media(folder: str, *names: str) -> dict[str, bytes]:
    """Return files for readers that use only the names."""
    return {f"{folder}/{name}": name.encode() for name in names}


def by_split(listing: Annotations) -> dict[str, list[str]]:
    """The ids of each split."""
    splits: dict[str, list[str]] = {}
    for entry in listing.entries:
        splits.setdefault(entry.split, []).append(entry.image_id)
    return splits


def captions(listing: Annotations) -> dict[str, tuple[str, ...]]:
    """The captions of each id."""
    return {entry.image_id: entry.captions for entry in listing.entries}


def jpeg(seed: int, width: int = 24, height: int = 16) -> bytes:
    """Return a real image, another for each seed."""
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG")
    return buffer.getvalue()
