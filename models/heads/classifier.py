"""Memory → label: pool the memory into one vector, then score each class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from models.layers.attention import masked_out
from models.layers.linear import Layer, Linear
from models.layers.losses import cross_entropy
from models.memory import Memory, MemoryShape


@keras.saving.register_keras_serializable("wordreel")
class Classifier(Layer):
    """logits = W s + b for one vector s pooled from the memory.

    s is the memory's summary, the mean of its items m_i, the maximum of each dimension (Conneau et
    al. 2017, "Supervised Learning of Universal Sentence Representations"), or the sum weighted by
    attention (Yang et al. 2016, "Hierarchical Attention Networks"):

        s = Σ α_i m_i,    α = softmax(vᵀ tanh(W_a m_i + b_a))
    """

    def __init__(
        self,
        classes: int,
        class_weights: Sequence[float] | None = None,
        pooling: str = "summary",
        **layer: Any,
    ) -> None:
        """Create a head for `classes` classes.

        `class_weights` are their weights in the loss; `pooling` is "summary", "mean", "max" or
        "attention".
        """
        super().__init__(**layer)
        self.classes, self.pooling = classes, pooling
        self.class_weights = None if class_weights is None else [float(w) for w in class_weights]
        self.project = Linear(classes, name="project", dtype=self.dtype_policy)

    def build(self, memory_shape: MemoryShape) -> None:
        """Create the weights for a memory of these shapes."""
        depth: Any = memory_shape[-1][-1]
        if self.pooling == "attention":
            self.compare = Linear(depth, activation="tanh", name="compare", dtype=self.dtype_policy)
            self.compare.build((None, None, depth))
            self.weigh = Linear(1, use_bias=False, name="weigh", dtype=self.dtype_policy)
            self.weigh.build((None, None, depth))
        self.project.build((None, depth))
        self.built = True

    def call(self, memory: Memory) -> tf.Tensor:
        """Return logits, `[batch, classes]`."""
        if self.pooling == "summary":
            return self.project(memory.summary)
        if self.pooling == "max":
            not_empty = tf.reduce_any(memory.mask, axis=1, keepdims=True)
            highest = tf.reduce_max(self._masked(memory), axis=1)
            return self.project(tf.where(not_empty, highest, 0.0))
        weights = self.attention_weights(memory)[..., tf.newaxis]
        return self.project(tf.reduce_sum(weights * memory.values, axis=1))

    def attention_weights(self, memory: Memory) -> tf.Tensor:
        """Return the weight of each item in s, `[batch, items]`.

        With max pooling: the share of dimensions whose maximum is at the item (Conneau et al.).
        """
        if self.pooling == "max":
            best = tf.argmax(self._masked(memory), axis=1)
            places = tf.one_hot(best, tf.shape(memory.mask)[1], axis=1, dtype=self.compute_dtype)
            return tf.reduce_mean(places, axis=2)
        energies = tf.zeros(tf.shape(memory.mask), self.compute_dtype)
        if self.pooling == "attention":
            energies = self.weigh(self.compare(memory.values))[..., 0]
        return tf.nn.softmax(tf.where(memory.mask, energies, masked_out(self.compute_dtype)))

    def _masked(self, memory: Memory) -> tf.Tensor:
        padding = masked_out(self.compute_dtype)
        return tf.where(memory.mask[..., tf.newaxis], memory.values, padding)

    def loss(self, memory: Memory, targets: tf.Tensor, *, smoothing: float = 0.0) -> tf.Tensor:
        """Return the mean cross-entropy, a scalar; with class weights the weighted mean.

        Args:
            memory: encoded inputs of `batch` examples.
            targets: int32 `[batch]`, class ids.
            smoothing: see `models.layers.losses.cross_entropy`.
        """
        losses = cross_entropy(self(memory), targets, smoothing)
        if self.class_weights is None:
            return tf.reduce_mean(losses)
        weights = tf.gather(tf.constant(self.class_weights, losses.dtype), targets)
        return tf.reduce_sum(weights * losses) / tf.reduce_sum(weights)

    def target_weight(self, targets: tf.Tensor) -> tf.Tensor:
        """Return the denominator of the mean in `loss`: the sum of the weights, float32."""
        if self.class_weights is None:
            return tf.cast(tf.size(targets), tf.float32)
        return tf.reduce_sum(tf.gather(tf.constant(self.class_weights), targets))

    def optimize_for_inference(self) -> Classifier:
        """Return the head itself."""
        return self

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        names = ("classes", "class_weights", "pooling")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
