"""Datasets that TensorFlow Datasets prepares itself: found on disk, or downloaded."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from data.annotations.source_files import nothing_found
from data.common.errors import UserError
from data.storage.cache import log


def find_or_download(name: str, source: Path | None, *, size: str = "") -> tuple[Path, bool]:
    """Return the folder of a dataset of TensorFlow Datasets, and whether it was prepared before.

    Args:
        name: as TFDS calls it, with or without a config: "mnist", "imagenette/320px-v2".
        source: a TFDS data folder that must contain it; None: TFDS's own, into which it is
            downloaded if it is missing.
        size: of the download, for the message.

    Raises:
        UserError: if it is missing, or TFDS cannot prepare it.
    """
    # TFDS's builders take seconds to import: first check whether the dataset is on disk.
    root = source or Path(os.environ.get("TFDS_DATA_DIR", "~/tensorflow_datasets")).expanduser()
    patterns = [f"{name}/{version}/dataset_info.json" for version in ("*", "*/*")]
    for pattern in patterns:
        if built := sorted(root.glob(pattern)):
            return built[-1].parent, True
    if source:
        raise nothing_found(source, f"prepared {name}", patterns)
    import tensorflow_datasets as tfds

    log(f"{name}: downloading {f'{size} ' * bool(size)}to {root}")
    try:
        builder = tfds.builder(name, data_dir=root)
        builder.download_and_prepare()
    except Exception as error:  # the network, the disk, the server: TFDS raises many kinds
        raise UserError(
            f"TFDS could not prepare {name}: {error}. Where a copy is prepared already, "
            "name its TFDS data folder with --source"
        ) from error
    return Path(builder.data_dir), False


def read_in_order(builder: Any, split: str) -> Iterator[Any]:
    """Yield the examples of a split, one shard after the other."""
    import tensorflow_datasets as tfds

    order = tfds.ReadConfig(interleave_cycle_length=1, try_autocache=False)
    yield from builder.as_dataset(split=split, read_config=order).as_numpy_iterator()
