"""Cached rows of the images of a training split."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from data.storage.prepared import StoredImages
from pipelines.inputs.feature_cache import EncodedImages, cached_rows
from pipelines.inputs.tables import ImageTable


def image_table(
    prepared: StoredImages, cache: Path, *, flips: bool = False, **options: Any
) -> ImageTable:
    """Return the table of a training split; `options` are those of `cached_rows`."""
    images = EncodedImages(
        prepared.name,
        (prepared.fingerprint,),
        count=lambda: prepared.splits["train"],
        encoded=lambda: (image for _, image in prepared.images("train")),
        index=lambda: prepared.ids("train"),
    )
    ids, rows = cached_rows(images, cache, flips=flips, **options)
    return ImageTable(tuple(ids), rows, flips)
