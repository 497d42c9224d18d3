"""A configuration to the model, the source and the head of a run; a run directory to the same."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from data.annotations.splits import whole_split
from data.common.errors import UserError, unknown
from models.encoder_head import EncoderHead
from pipelines.config.config import Config, flag
from pipelines.config.run_directory import check_data
from pipelines.config.task import TASKS

SPLITS = ("train", "validation", "test", "unseen")  # that a recipe may name; not all datasets have


def assemble(config: Config, folder: Path) -> tuple[Any, Any, Any]:
    """Return the model of a run, with random weights, its head and its source."""
    task = TASKS[config.task]
    source_class, head_class = task.source_class(), task.head_class()
    prepared = source_class.prepare(config)
    _check_splits(config, prepared.splits)
    keras.utils.set_random_seed(config.seed)
    head = head_class(config, prepared, folder)
    for split in {config.validation_split, *_test_splits(config, prepared.splits)}:
        if not head.told(split):
            raise UserError(
                f"{prepared.name}: no example of {split!r} has a {task.answer} that can be scored"
            )
    source = source_class(config, prepared, folder)
    check_data(folder, prepared.fingerprint)
    return EncoderHead(source.backbone, source.encoder, head.layer, source.top), head, source


def load_run(folder: Path, **changes: Any) -> tuple[Any, Any, Any]:
    """Return the best model of a run, its head and its source.

    Args:
        folder: of the run.
        changes: of its configuration, that leave the weights as they are.

    Raises:
        UserError: if there is no run with weights.
    """
    try:
        config = Config.from_json((folder / "config.json").read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{folder} is no run directory: config.json: {error.strerror}") from None
    except (TypeError, ValueError) as error:
        raise UserError(f"{folder} is no run directory: config.json: {error}") from None
    model, head, source = assemble(dataclasses.replace(config, **changes), folder)
    best = tf.train.latest_checkpoint(str(folder / "best"))
    if best is None:
        raise UserError(f"{folder} has no weights yet: it keeps the best after each epoch")
    tf.train.Checkpoint(model=model).restore(best).expect_partial()
    return model, head, source


def _check_splits(config: Config, splits: Any) -> None:
    """Refuse a split that cannot be used before any work is done; name tests that are missing."""
    for name in ("train_split", "validation_split", "test_splits"):
        if "+" in getattr(config, name):
            raise UserError(
                f"{flag(name)} {getattr(config, name)!r}: a sum of splits cannot be used, for "
                "rows are kept split by split; name one split or a slice of one"
            )
    for name in ("train_split", "validation_split"):
        if whole_split(getattr(config, name)) not in splits:
            raise UserError(
                f"{flag(name)} {getattr(config, name)!r}: the dataset has {', '.join(splits)}; "
                "name one of these, or a part such as 'train[90%:]'"
            )
    for name in _asked_tests(config):
        if (whole := whole_split(name)) not in {*splits, *SPLITS}:
            raise unknown("split", name, {*splits, *SPLITS})
        if whole not in splits:
            print(f"There is no split {whole!r} to score: the dataset has {', '.join(splits)}.")


def _asked_tests(config: Config) -> list[str]:
    return [name.strip() for name in config.test_splits.split(",")]


def _test_splits(config: Config, splits: Any) -> list[str]:
    """Return the splits to score at the end: those asked for that exist, else validation."""
    found = [name for name in _asked_tests(config) if whole_split(name) in splits]
    return found or [config.validation_split]
