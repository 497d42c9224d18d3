"""The model of a run directory, without its dataset."""

from __future__ import annotations

import json
from pathlib import Path

import keras
import tensorflow as tf

from data.common.errors import UserError
from data.common.files import atomic_write
from pipelines.config.init_from import best_weights
from pipelines.config.run_directory import read_config
from pipelines.task_models.base import TaskModel

MODEL = "model.json"  # in a run directory: the model without its weights


def save_architecture(model: TaskModel, folder: Path) -> None:
    """Write a model without its weights to a run directory."""
    with atomic_write(folder / MODEL) as file:
        json.dump(keras.saving.serialize_keras_object(model), file)


def load_run(folder: Path | str) -> TaskModel:
    """Return the model of a run with the weights of its best epoch; the dataset is not needed.

    Args:
        folder: the run directory of `train.py`.

    Raises:
        UserError: if there is no run with weights, or a newer version wrote it.
    """
    folder = Path(folder)
    path = folder / MODEL
    read_config(folder)
    try:
        model = keras.saving.deserialize_keras_object(json.loads(path.read_text("utf-8")))
    except FileNotFoundError:
        raise UserError(
            f"{folder} has no {MODEL}: the run has not begun to train, or version 0.3 or older "
            "wrote it; repeat its command"
        ) from None
    except (TypeError, ValueError, LookupError) as error:
        raise UserError(
            f"{path} cannot be read: it is damaged, or a newer version of Wordreel wrote it: "
            f"{error}"
        ) from error
    if not isinstance(model, TaskModel):
        raise UserError(f"{path} has no model of Wordreel, but a {type(model).__name__}")
    load_best(model, folder)
    return model


def load_best(model: TaskModel, folder: Path) -> None:
    """Load the weights of the best epoch of a run.

    Raises:
        UserError: if no epoch has ended.
    """
    best_weights(folder)
    best = tf.train.latest_checkpoint(str(folder / "best"))
    tf.train.Checkpoint(model=model).restore(best).expect_partial()
