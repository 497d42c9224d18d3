"""Additive attention over a memory."""

from __future__ import annotations

import keras
import tensorflow as tf

from models.layers.linear import Linear, matmul

MASKED = -1e9  # finite, so that a fully masked row does not become NaN


class AdditiveAttention(keras.layers.Layer):
    """Attention of Bahdanau et al. (2015): e_i = vᵀ tanh(W_k m_i + W_q h), α = softmax(e).

    The context is Σ α_i m_i; keys and queries have `units` dimensions. `keys` returns W_k m, the
    same at every step. Several queries may share one memory: `batch * beams`, batch-major.
    """

    def __init__(self, units: int, name: str | None = None) -> None:
        super().__init__(name=name)
        self.units = units
        self.to_key = Linear(units, name="key")
        self.to_query = Linear(units, use_bias=False, name="query")

    def build(self, memory_depth: int, query_depth: int) -> None:
        """Create W_k, W_q and v."""
        self.to_key.build((None, None, memory_depth))
        self.to_query.build((None, query_depth))
        self.v = self.add_weight(shape=(self.units, 1), initializer="glorot_uniform", name="v")

    def keys(self, values: tf.Tensor) -> tf.Tensor:
        """Return W_k m: `[batch, items, depth]` → `[batch, items, units]`."""
        return self.to_key(values)

    def call(
        self,
        query: tf.Tensor,
        keys: tf.Tensor,
        values: tf.Tensor,
        mask: tf.Tensor,
        extra_query: tf.Tensor | float = 0.0,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Return the context and the attention weights.

        Args:
            query: float32 `[batch * beams, query_depth]`.
            keys: float32 `[batch, items, units]` from `keys`.
            values: float32 `[batch, items, depth]`.
            mask: bool `[batch, items]`.
            extra_query: float32 `[batch * beams, units]`, added to W_q h.

        Returns:
            The context `[batch * beams, depth]` and α `[batch * beams, items]`.
        """
        batch, items, depth = tf.unstack(tf.shape(values))
        queries = tf.reshape(self.to_query(query) + extra_query, [batch, 1, -1, self.units])
        compared = tf.reshape(tf.tanh(keys[:, :, tf.newaxis] + queries), [-1, self.units])
        # A flat product: TF 2.21's batched one crashes on CPUs when v is broadcast to 4-D.
        energies = tf.reshape(tf.matmul(compared, self.v), [batch, items, -1])
        energies = tf.where(mask[:, tf.newaxis], tf.transpose(energies, [0, 2, 1]), MASKED)
        weights = tf.exp(tf.nn.log_softmax(energies))  # faster than softmax for few rows on CPUs
        context = matmul(weights, values)
        return tf.reshape(context, [-1, depth]), tf.reshape(weights, [-1, items])
