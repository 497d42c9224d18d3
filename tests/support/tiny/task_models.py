"""Untrained Keras models of the six tasks, their inputs and their targets, all tiny."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from data.media.vocabulary import Vocabulary
from pipelines.task_models import MODELS
from pipelines.task_models.base import TaskModel

CAPTIONS = ["a red circle", "two blue squares"] * 3
GERMAN = ["ein roter Kreis", "zwei blaue Quadrate"] * 3
LABELS = ["circle", "square"] * 3


def inputs_of(task: str) -> Any:
    """Return six inputs: red and blue images or clips, or English texts."""
    if MODELS[task].__name__ in ("Translator", "TextClassifier"):
        return CAPTIONS
    colors = np.array([[200, 20, 20], [20, 20, 200]] * 3, np.uint8)
    images = np.broadcast_to(colors[:, None, None], (6, 20, 24, 3))
    return images if task.startswith("image") else np.stack([images, 255 - images], axis=1)


def targets_of(task: str) -> list[str]:
    """Return the captions, translations or labels of the six inputs."""
    if task == "translation":
        return GERMAN
    return CAPTIONS if task.endswith("captioning") else LABELS


def untrained(task: str, **options: Any) -> TaskModel:
    """Return a model with the vocabulary or the classes of the targets."""
    keras.utils.set_random_seed(0)
    chosen: dict[str, Any] = {"units": 8, "dropout": 0.0, **options}
    if isinstance(inputs_of(task), list):
        chosen |= {"input_vocabulary": Vocabulary.build(CAPTIONS, 1), "embedding_dim": 6}
    else:
        chosen |= {"backbone": "small-cnn", "image_size": 16}
    targets = targets_of(task)
    if targets is LABELS:
        model = MODELS[task].create(("circle", "square"), **chosen)
    else:
        model = MODELS[task].create(Vocabulary.build(targets, 1), max_words=5, **chosen)
    if isinstance(model.backbone, keras.Model):
        model.backbone.trainable = False  # its batch norms would need more steps than a test has
    return model
