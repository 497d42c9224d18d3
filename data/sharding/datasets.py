"""All datasets by name, whatever their modality."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from data.annotations.entries import Annotations
from data.common.errors import UserError, unknown
from data.images.datasets import IMAGE_DATASETS
from data.storage.cache import log
from data.storage.dataset_info import TFDS, UNKNOWN_LICENSE, Dataset, Options, source_folder
from data.text.datasets import PAIR_DATASETS, TEXT_DATASETS
from data.video.datasets import CLIP_DATASETS

ALL: tuple[Dataset, ...] = (*IMAGE_DATASETS, *CLIP_DATASETS, *TEXT_DATASETS, *PAIR_DATASETS)
# Datasets that Wordreel reads from their own format, or generates: their names are unique.
PREPARABLE: Mapping[str, Dataset] = {each.name: each for each in ALL if each.preparable}


def preparable(name: str) -> Dataset:
    """Return a dataset that `wordreel prepare` can prepare.

    Raises:
        UserError: if it does not exist, or TensorFlow Datasets prepares it.
    """
    if name.startswith(TFDS) or any(each.name == name and each.source_optional for each in ALL):
        raise UserError(f"{name} is prepared by TFDS itself: train.py reads it directly")
    if name not in PREPARABLE:
        raise unknown("dataset", name, PREPARABLE)
    return PREPARABLE[name]


def load_annotations(
    name: str, source: str | Path | None, options: Options, cache: Path | None = None
) -> Annotations:
    """Return what the source of a dataset holds; print its notes. `cache` keeps its splits.

    Raises:
        UserError: for a source that does not exist or does not have the expected layout.
    """
    dataset = preparable(name)
    annotations = dataset.load_annotations(source_folder(dataset, source), options, cache)
    for note in annotations.notes:
        log(f"{name}: {note}")
    return annotations


def license_of(name: str) -> str:
    """Return the terms of a dataset in a few words."""
    return next((each.license for each in ALL if each.name == name), UNKNOWN_LICENSE)
