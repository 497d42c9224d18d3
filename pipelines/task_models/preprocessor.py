"""From raw inputs and texts to tensors, and from a model's outputs to texts."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, Protocol

import keras
import tensorflow as tf

from data.media.vocabulary import Vocabulary
from models.memory import Tensors
from models.tokens import PAD
from pipelines.export.version import Preprocessing
from pipelines.preprocessing.text import encode_outside_graph

Example = tuple[Any, tf.Tensor, tf.Tensor]  # the model's input, targets, weights


class InputPreprocessing(Preprocessing, Protocol):
    """The input of a model: `pipelines.preprocessing` has those of images, clips and texts."""

    def read(self, given: tf.Tensor, /) -> Tensors:
        """Return the model's input for a batch of encoded or decoded inputs."""

    def get_config(self) -> dict[str, object]:
        """Return what `from_config` needs."""


class OutputPreprocessing(Protocol):
    """The output of a model: sentences or labels."""

    def example(self, inputs: Tensors, targets: tf.Tensor) -> Example:
        """Return the model's input, its targets and their weights."""

    def get_config(self) -> dict[str, object]:
        """Return what `from_config` needs."""


@keras.saving.register_keras_serializable("wordreel")
@dataclasses.dataclass(frozen=True)
class Sentences:
    """Captions or translations as word ids."""

    vocabulary: Vocabulary
    max_words: int  # further words are truncated

    def example(self, inputs: Tensors, targets: tf.Tensor) -> Example:
        """Return the input with the words before each word, the words, and 0 for padding.

        Args:
            inputs: of the model, `[batch, ...]`.
            targets: string `[batch]`, or ragged `[batch, (sentences)]`: several of each input.

        Raises:
            ValueError: for another shape or dtype.
        """
        if targets.dtype != tf.string or targets.shape.rank not in (1, 2):
            raise ValueError(
                "sentences must be string [batch] or ragged [batch, (sentences)]; got "
                f"{targets.dtype.name} {targets.shape.as_list()}"
            )
        if targets.shape.rank == 2:
            several = isinstance(targets, tf.RaggedTensor)
            ragged = targets if several else tf.RaggedTensor.from_tensor(targets)
            rows, targets = ragged.value_rowids(), ragged.flat_values
            inputs = tf.nest.map_structure(lambda each: tf.gather(each, rows), inputs)
        tokens = encode_outside_graph(targets, self.vocabulary, self.max_words)
        following = tokens[:, 1:]
        weights = tf.cast(following != PAD, tf.float32)
        return {"inputs": inputs, "tokens": tokens[:, :-1]}, following, weights

    def get_config(self) -> dict[str, object]:
        """Return what `from_config` needs."""
        return {"words": list(self.vocabulary.words), "max_words": self.max_words}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Sentences:
        """Return the preprocessing of `get_config`."""
        return cls(Vocabulary(config["words"]), config["max_words"])


@keras.saving.register_keras_serializable("wordreel")
@dataclasses.dataclass(frozen=True)
class Labels:
    """Labels as class ids."""

    classes: Sequence[str]  # in the order of the logits

    def example(self, inputs: Tensors, targets: tf.Tensor) -> Example:
        """Return the input, the class ids and a weight of 1 each.

        Args:
            inputs: of the model, `[batch, ...]`.
            targets: labels, string `[batch]`, or class ids, an integer type.

        Raises:
            ValueError: for another shape or dtype.
            tf.errors.InvalidArgumentError: for an unknown label.
        """
        if targets.shape.rank != 1 or not (targets.dtype == tf.string or targets.dtype.is_integer):
            raise ValueError(
                "labels must be string [batch], or class ids, int [batch]; got "
                f"{targets.dtype.name} {targets.shape.as_list()}"
            )
        if targets.dtype == tf.string:
            equal = targets[:, tf.newaxis] == tf.constant(list(self.classes))
            known = tf.reduce_all(tf.reduce_any(equal, axis=1))
            message = [f"labels must be among {', '.join(self.classes)[:200]}; got", targets]
            with tf.control_dependencies([tf.debugging.Assert(known, message)]):
                targets = tf.argmax(equal, axis=1)
        return inputs, targets, tf.ones(tf.shape(targets))

    def get_config(self) -> dict[str, object]:
        """Return the arguments of the constructor."""
        return {"classes": list(self.classes)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Labels:
        """Return the preprocessing of `get_config`."""
        return cls(tuple(config["classes"]))


@keras.saving.register_keras_serializable("wordreel")
@dataclasses.dataclass(frozen=True)
class Preprocessor:
    """The preprocessing of a model's inputs and outputs."""

    input: InputPreprocessing
    output: OutputPreprocessing

    def __call__(
        self, inputs: Any, targets: Any = None, weights: Any = None
    ) -> tf.Tensor | Tensors | Example:
        """Return the model's input, with targets also these and the weights of the loss.

        Args:
            inputs: a batch of images, clips or texts, see `read` of the input.
            targets: sentences or labels, see `example` of the output.
            weights: of each row, float `[batch]`.
        """
        read = self.input.read(tf.convert_to_tensor(inputs))
        if targets is None:
            return read
        if not isinstance(targets, tf.RaggedTensor):
            targets = tf.convert_to_tensor(targets)
        given, targets, own = self.output.example(read, targets)
        if weights is not None:
            weights = tf.cast(weights, own.dtype)
            own *= tf.reshape(weights, [-1, *[1] * (own.shape.rank - 1)])
        return given, targets, own

    def get_config(self) -> dict[str, object]:
        """Return what `from_config` needs."""
        serialize = keras.saving.serialize_keras_object
        return {"input": serialize(self.input), "output": serialize(self.output)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Preprocessor:
        """Return the preprocessor of `get_config`."""
        deserialize = keras.saving.deserialize_keras_object
        return cls(deserialize(config["input"]), deserialize(config["output"]))
