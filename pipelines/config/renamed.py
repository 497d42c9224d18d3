"""Names of version 0.1 that have changed.

On the command line an old name is refused with the new one. In the configuration of a run or an
export, old names are understood.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from data.common.errors import UserError

OPTIONS: Mapping[str, str] = {
    "--accumulate": "--micro-batches",
    "--affixes": "--affix-embeddings",
    "--captions-together": "--captions-per-image",
    "--ema": "--ema-decay",
    "--embedding": "--embedding-dim",
    "--fine-tune": "--fine-tune-layers",
    "--fine-tune-rate": "--fine-tune-learning-rate",
    "--firm-places": "--position-init",
    "--frame-grid": "--frame-pooling",
    "--frame-norm": "--frame-normalization",
    "--frame-times": "--frame-time-embedding",
    "--jitter": "--speed-jitter",
    "--no-repeat-ngram": "--no-repeat-ngram-size",
    "--punctuation": "--keep-punctuation",
    "--reward-epochs": "--scst-epochs",
    "--reward-rate": "--scst-learning-rate",
    "--shift": "--translation",
    "--tint": "--brightness",
    "--turn": "--rotation",
    "--two-way": "--bidirectional",
    "--vectors": "--word-vectors",
}
DATASETS: Mapping[str, str] = {
    "drawn-clips": "synthetic-clips",
    "labelled-images": "labeled-images",
    "opinions": "synthetic-reviews",
    "phrasebook": "synthetic-pairs",
    "pictures": "labeled-images",
    "scenes": "synthetic-scenes",
}
RECIPES: Mapping[str, str] = {
    "drawn_actions": "synthetic-actions",
    "drawn_clips": "synthetic-clips",
    "grid_verbs": "grid-verbs",
    "labelled-images": "labeled-images",
    "opinions": "synthetic-reviews",
    "phrasebook": "synthetic-pairs",
    "pictures": "labeled-images",
    "scenes": "synthetic-scenes",
}
COMMANDS: Mapping[str, str] = {"check-splits": "check"}
TASK_ALIASES: Mapping[str, str] = {"sentiment": "text-classification"}
_VALUES: Mapping[str, Mapping[Any, str]] = {  # by the current name of the field
    "data": DATASETS,
    "frame_pooling": {"places": "spatial", "cells": "spatial+cells"},
    "task": TASK_ALIASES,
    "weights": {None: "auto"},
}


def current_fields(stored: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a stored configuration by their current names, with current values.

    >>> current_fields({"turn": 10.0, "data": "scenes", "frame_grid": "cells", "seed": 1})
    {'rotation': 10.0, 'data': 'synthetic-scenes', 'frame_pooling': 'spatial+cells', 'seed': 1}
    """
    names = {_field_name(old): _field_name(new) for old, new in OPTIONS.items()}
    current = {names.get(name, name): value for name, value in stored.items()}
    for name in _VALUES.keys() & current.keys():
        current[name] = _VALUES[name].get(current[name], current[name])
    return current


def _field_name(option: str) -> str:
    return option.removeprefix("--").replace("-", "_")


def refuse_renamed_options(arguments: Sequence[str]) -> None:
    """Raise a UserError with the new name if an option is used by its old name."""
    for argument in arguments:
        name = argument.partition("=")[0]
        for prefix in ("--", "--no-"):
            old = "--" + name.removeprefix(prefix)
            if name.startswith(prefix) and old in OPTIONS:
                new = prefix + OPTIONS[old].removeprefix("--")
                raise UserError(f"{name} is now called {new}")


def refuse_renamed(kind: str, name: str, renamed: Mapping[str, str]) -> None:
    """Raise a UserError if `name`, of a dataset or another kind, is in `renamed`."""
    if name in renamed:
        raise UserError(f"the {kind} {name} is now called {renamed[name]}")
