"""What the Keras models of all tasks share: preprocessing in `fit`, saving, exporting."""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

import keras
import numpy as np
import tensorflow as tf

from data.media.sampling import Sampling
from data.media.vocabulary import Vocabulary
from models.encoder_head import EncoderHead
from pipelines.config.config import Config
from pipelines.config.task import TASKS
from pipelines.task_models.parts import (
    InputParts,
    clip_parts,
    configured_backbone,
    image_parts,
    text_parts,
)
from pipelines.task_models.preprocessor import InputPreprocessing, OutputPreprocessing, Preprocessor

PARTS = ("backbone", "encoder", "head", "preprocessor")  # of `get_config`


class TaskModel(EncoderHead):
    """A model with its preprocessor: trained on, and called with, raw inputs.

    `fit`, `evaluate` and `predict` take what the preprocessor takes, as arrays or as a
    `tf.data.Dataset` of batches; `call` takes what it returns.

    Attributes:
        task: its name on the command line.
        preprocessor: of the inputs and outputs.
    """

    task: ClassVar[str]

    def __init__(
        self,
        backbone: Callable[..., tf.Tensor] | None,
        encoder: keras.layers.Layer,
        head: keras.layers.Layer,
        preprocessor: Preprocessor,
        top: keras.Model | None = None,
        **model: Any,
    ) -> None:
        """Join the parts; see `EncoderHead`."""
        super().__init__(backbone, encoder, head, top, **model)
        self.preprocessor = preprocessor
        self._preprocess = tf.autograph.experimental.do_not_convert(preprocessor.__call__)

    def compile(
        self,
        optimizer: str | keras.optimizers.Optimizer = "auto",
        loss: str | keras.losses.Loss = "auto",
        *,
        weighted_metrics: Any = "auto",
        jit_compile: bool = False,
        **options: Any,
    ) -> None:
        """Choose the optimizer, the loss and the metrics, as in `keras.Model.compile`.

        Args:
            optimizer: "auto": AdamW with a learning rate of 0.001 and gradients clipped to norm 5.
            loss: "auto": cross-entropy of the logits, the mean over words or examples.
            weighted_metrics: "auto": accuracy; padding does not count.
            jit_compile: whether to use XLA, which compiles anew for each length of a batch.
            options: further arguments of `keras.Model.compile`.
        """
        if optimizer == "auto":
            optimizer = keras.optimizers.AdamW(1e-3, weight_decay=0.01, global_clipnorm=5.0)
        if loss == "auto":
            loss = keras.losses.SparseCategoricalCrossentropy(
                from_logits=True, reduction="mean_with_sample_weight"
            )
        if weighted_metrics == "auto":
            weighted_metrics = [keras.metrics.SparseCategoricalAccuracy(name="accuracy")]
        super().compile(
            optimizer=optimizer,
            loss=loss,
            weighted_metrics=weighted_metrics,
            jit_compile=jit_compile,
            **options,
        )

    def compile_from_config(self, config: Any) -> None:
        """Compile a loaded model as it was; Keras does so only if `compile` is its own."""
        self.compile(**keras.saving.deserialize_keras_object(config))
        self.optimizer.build(self.trainable_variables)

    def fit(
        self,
        x: Any,
        y: Any = None,
        batch_size: int = 32,
        *,
        validation_data: Any = None,
        shuffle: bool = True,
        **options: Any,
    ) -> keras.callbacks.History:
        """Train the model, as `keras.Model.fit` does.

        Args:
            x: inputs, or a `tf.data.Dataset` of batches `(inputs, targets)`, with a weight for each
                row as a third element if wanted.
            y: sentences or labels of the inputs.
            batch_size: for arrays.
            validation_data: a dataset, or a tuple of arrays.
            shuffle: whether arrays are shuffled in each epoch.
            options: further arguments of `keras.Model.fit`.

        Returns:
            The loss and the metrics of each epoch.
        """
        if validation_data is not None:
            own = validation_data if isinstance(validation_data, tuple) else (validation_data,)
            validation_data = self._dataset(*own, batch_size=batch_size)
        data = self._dataset(x, y, batch_size=batch_size, shuffle=shuffle)
        return super().fit(data, validation_data=validation_data, shuffle=False, **options)

    def evaluate(self, x: Any, y: Any = None, batch_size: int = 32, **options: Any) -> Any:
        """Return the loss and the metrics; the arguments are those of `fit`."""
        if "_use_cached_eval_dataset" not in options:  # else `fit` has preprocessed it
            x, y = self._dataset(x, y, batch_size=batch_size), None
        return super().evaluate(x, y, **options)

    @classmethod
    def of(
        cls,
        parts: InputParts[InputPreprocessing],
        head: keras.layers.Layer,
        output: OutputPreprocessing,
        config: Config,
        top: keras.Model | None = None,
    ) -> Self:
        """Return the model of these parts, with the options of a run that are not in them."""
        del config
        preprocessor = Preprocessor(parts.preprocessing, output)
        return cls(parts.backbone, parts.encoder, head, preprocessor, top)

    @abc.abstractmethod
    def export(self, filepath: Path | str, info: Mapping[str, object] | None = None) -> Path:
        """Write the next version of an export, a verified SavedModel, as `train.py` does.

        Args:
            filepath: the folder of versions.
            info: JSON values to add to its wordreel.json.

        Returns:
            The version's folder.

        Raises:
            UserError: if the folder cannot be written, or the export fails its verification.
        """

    def get_config(self) -> dict[str, Any]:
        """Return the serialized parts."""
        serialize = keras.saving.serialize_keras_object
        parts = {part: serialize(getattr(self, part)) for part in PARTS}
        return {"name": self.name, "trainable": self.trainable, **parts}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Self:
        """Return the model of `get_config`, without its weights."""
        deserialize = keras.saving.deserialize_keras_object
        return cls(
            **{
                name: deserialize(value, custom_objects=custom_objects) if name in PARTS else value
                for name, value in config.items()
            }
        )

    def _dataset(
        self, x: Any, y: Any = None, weights: Any = None, *, batch_size: int, shuffle: bool = False
    ) -> tf.data.Dataset:
        """Return batches of the model's inputs and targets."""
        if not isinstance(x, tf.data.Dataset):
            given = [each for each in (x, y, weights) if each is not None]
            x = tf.data.Dataset.from_tensor_slices(tuple(map(_tensor, given)))
            x = x.shuffle(max(1, len(x))) if shuffle else x
            x = x.batch(batch_size)
        if x.cardinality() == 0:
            raise ValueError("there are no examples: the dataset is empty")
        return x.map(self._preprocess, num_parallel_calls=tf.data.AUTOTUNE).prefetch(2)

    def _batches(self, inputs: Any, batch_size: int) -> Iterator[Any]:
        """Yield batches of the model's inputs for raw inputs or a dataset of batches of them."""
        if not isinstance(inputs, tf.data.Dataset):
            inputs = tf.data.Dataset.from_tensor_slices(_tensor(inputs)).batch(batch_size)
        yield from inputs.map(self._preprocess)


def _tensor(values: Any) -> Any:
    """Return values as a tensor; lists of different lengths as a ragged one.

    Raises:
        ValueError: if they have no common type.
    """
    if isinstance(values, tf.RaggedTensor | tf.Tensor | np.ndarray):
        return values
    lengths = {len(each) for each in values if isinstance(each, list | tuple)}
    return tf.ragged.constant(values) if len(lengths) > 1 else tf.convert_to_tensor(values)


def input_parts(config: Config, vocabulary: Vocabulary | None) -> InputParts[InputPreprocessing]:
    """Return the parts that read and encode the input of a task; `vocabulary` is that of texts.

    Raises:
        ValueError: if a task with texts has no vocabulary, or another task has one.
    """
    kind = TASKS[config.task].input
    if (kind == "text") != (vocabulary is not None):
        needs = "needs" if kind == "text" else "has no"
        raise ValueError(f"{config.task} {needs} input_vocabulary, the words of input texts")
    if vocabulary is not None:
        return text_parts(config, vocabulary)
    backbone = configured_backbone(config)
    if not config.from_scratch:
        backbone.trainable = False  # until the caller sets it
    if kind == "image":
        return image_parts(config, backbone)
    rate = config.sample_rate or (None if config.sample_frames else 2.0)
    sampling = Sampling(config.sample_frames, rate)
    return clip_parts(config, backbone, dataclasses.asdict(sampling))
