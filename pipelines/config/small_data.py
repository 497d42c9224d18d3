"""The preset for small datasets: the vocabulary is kept, features are frozen, more regularization.

`train.py` chooses it for datasets of the user with fewer than `LIMIT` training examples.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Collection, Iterable
from typing import Any

from data.annotations.entries import Entry
from data.common.errors import UserError
from data.storage.dataset_info import find_dataset, source_folder
from pipelines.config.config import Config, flag
from pipelines.config.task import TASKS

LIMIT = 500
PRESET: dict[str, Any] = {
    "min_count": 1,
    "fine_tune_from": None,
    "scst_epochs": 0,
    "word_dropout": 0.1,
    "dropout": 0.5,
    "weight_decay": 1.0,
    "batch_size": 16,
    "epochs": 30,
    "patience": 10,
    "warmup_steps": 20,
    "ema_decay": 0.98,
}


def is_small(config: Config) -> bool:
    """Return whether the dataset of a run is read from files and has few training examples."""
    dataset = find_dataset(config.data, TASKS[config.task].datasets)
    if dataset.generated or not dataset.preparable:
        return False
    source = source_folder(dataset, config.source)
    assert source is not None  # as for every dataset that is read from files
    try:
        count = count_training(dataset.read(source, dataclasses.asdict(config)).entries)
        return 0 < count < LIMIT  # without examples, preparing it fails
    except (UserError, OSError):
        return False  # the error is reported when the dataset is prepared


def count_training(entries: Iterable[Entry]) -> int:
    """Return the number of training examples; of those without a split, four fifths will be."""
    splits = Counter(entry.split for entry in entries)
    return splits["train"] + 4 * splits[""] // 5


def with_preset(config: Config, given: Collection[str] = ()) -> Config:
    """Return a configuration with the preset in the fields that are not `given`."""
    values = {name: PRESET[name] for name in _fields(config) if name not in given}
    return dataclasses.replace(config, small_data=True, **values)


def note(config: Config) -> str:
    """Return the line for the screen and the report that names the preset."""
    values = {flag(name): getattr(config, name) for name in _fields(config)}
    options = ", ".join(f"{name} {str(value).lower()}" for name, value in values.items())
    return (
        f"small-data preset, for fewer than {LIMIT} training examples: {options}; "
        "--no-small-data switches it off"
    )


def _fields(config: Config) -> list[str]:
    """Return the fields of the preset that are options of the task."""
    fields = {field.name: field for field in dataclasses.fields(Config)}
    return [name for name in PRESET if TASKS[config.task].uses(fields[name])]
