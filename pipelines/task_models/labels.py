"""Keras models that assign labels: classifiers of images, clips and texts."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import keras
import numpy as np
import tensorflow as tf

from data.media.vocabulary import Vocabulary
from pipelines.config.config import Config
from pipelines.export.labels import export_labels
from pipelines.inputs.batches import compile_by_rank
from pipelines.task_models.base import TaskModel, input_parts
from pipelines.task_models.parts import classifier
from pipelines.task_models.preprocessor import (
    Labels,
)


class LabelModel(TaskModel):
    """A model whose head is a `Classifier`."""

    @classmethod
    def create(
        cls,
        classes: Sequence[str],
        *,
        input_vocabulary: Vocabulary | None = None,
        **options: Any,
    ) -> Self:
        """Return an untrained model.

        Args:
            classes: the labels.
            input_vocabulary: the words of the input, of a classifier of texts only, for example
                `Vocabulary.build(texts, min_count=2)`.
            options: of `train.py`, with underscores: `backbone`, `units`, `cell`, `dropout`,
                `pooling`, …; `train.py TASK --help-all` lists them.

        Raises:
            TypeError: for an unknown option.
            UserError: for an invalid value, or a backbone that cannot be built.
            ValueError: for fewer than two classes, or the same twice.
        """
        if len({*classes}) < max(2, len(classes)):
            raise ValueError(f"classes must be two or more different labels, got {classes}")
        config = Config(task=cls.task, **options)
        parts = input_parts(config, input_vocabulary)
        return cls.of(parts, classifier(config, classes), Labels(tuple(classes)), config)

    @property
    def classes(self) -> Sequence[str]:
        """The labels, in the order of the logits."""
        output = self.preprocessor.output
        assert isinstance(output, Labels)
        return output.classes

    def predict(self, x: Any, batch_size: int = 32, **options: Any) -> np.ndarray:
        """Return the probability of each class, float32 `[batch, classes]`."""
        del options  # those of `keras.Model.predict`: verbosity, steps, callbacks
        batches = self._batches(x, batch_size)
        return np.concatenate([self._probabilities(batch).numpy() for batch in batches])

    @functools.cached_property
    def _probabilities(self) -> Callable[[Any], tf.Tensor]:
        return compile_by_rank(lambda inputs: tf.nn.softmax(self(inputs)))

    def classify(self, x: Any, batch_size: int = 32) -> list[str]:
        """Return the most probable label of each input."""
        return [self.classes[best] for best in self.predict(x, batch_size).argmax(axis=1)]

    def export(self, filepath: Path | str, info: Mapping[str, object] | None = None) -> Path:
        """Write the next version of an export, see `TaskModel.export`."""
        info = {"task": self.task, **(info or {})}
        return export_labels(self, self.preprocessor.input, self.classes, filepath, info)


@keras.saving.register_keras_serializable("wordreel")
class ImageClassifier(LabelModel):
    """An image to a label."""

    task = "image-classification"


@keras.saving.register_keras_serializable("wordreel")
class VideoClassifier(LabelModel):
    """A clip to a label."""

    task = "action-recognition"


@keras.saving.register_keras_serializable("wordreel")
class TextClassifier(LabelModel):
    """A text to a label."""

    task = "text-classification"
