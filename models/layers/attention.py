"""Additive attention over a memory."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from models.layers.linear import Layer, Linear


def masked_out(dtype: str) -> float:
    """Return the energy of padding: finite, so that a fully masked row does not become NaN."""
    return max(-1e9, float(tf.as_dtype(dtype).min) / 2)


@keras.saving.register_keras_serializable("wordreel")
class AdditiveAttention(Layer):
    """Attention of Bahdanau et al. (2015): e_i = vᵀ tanh(W_k m_i + W_q h), α = softmax(e).

    The context is Σ α_i m_i; keys and queries have `units` dimensions. `keys` returns W_k m, the
    same at every step. Several queries may share one memory: `batch * beams`, batch-major.
    """

    def __init__(self, units: int, **layer: Any) -> None:
        """Create a layer with `units` dimensions of keys and queries."""
        super().__init__(**layer)
        self.units = units
        self.to_key = Linear(units, name="key", dtype=self.dtype_policy)
        self.to_query = Linear(units, use_bias=False, name="query", dtype=self.dtype_policy)

    def build(
        self, query_shape: tuple[int | None, ...], values_shape: tuple[int | None, ...]
    ) -> None:
        """Create W_k, W_q and v."""
        self.to_key.build(values_shape)
        self.to_query.build(query_shape)
        self.v = self.add_weight(shape=(self.units, 1), initializer="glorot_uniform", name="v")

    def call(
        self, query: tf.Tensor, values: tf.Tensor, mask: tf.Tensor | None = None
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Attend once, without the keys of an earlier step.

        Args:
            query: `[batch * beams, query_depth]`.
            values: `[batch, items, depth]`.
            mask: bool `[batch, items]`, false for padding; None: no padding.

        Returns:
            The context `[batch * beams, depth]` and α `[batch * beams, items]`.
        """
        if mask is None:
            mask = tf.ones(tf.shape(values)[:2], tf.bool)
        return self.attend(query, self.keys(values), values, mask)

    def keys(self, values: tf.Tensor) -> tf.Tensor:
        """Return W_k m: `[batch, items, depth]` → `[batch, items, units]`."""
        return self.to_key(values)

    def attend(
        self,
        query: tf.Tensor,
        keys: tf.Tensor,
        values: tf.Tensor,
        mask: tf.Tensor,
        extra_query: tf.Tensor | float = 0.0,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Return the context and α as `call` does, from `keys`; `extra_query` is added to W_q h."""
        batch, items, depth = tf.unstack(tf.shape(values))
        queries = tf.reshape(self.to_query(query) + extra_query, [batch, 1, -1, self.units])
        compared = tf.reshape(tf.tanh(keys[:, :, tf.newaxis] + queries), [-1, self.units])
        # A flat product: TF 2.21's batched one crashes on CPUs when v is broadcast to 4-D.
        energies = tf.reshape(tf.matmul(compared, self.cast(self.v)), [batch, items, -1])
        energies = tf.transpose(energies, [0, 2, 1])
        energies = tf.where(mask[:, tf.newaxis], energies, masked_out(self.compute_dtype))
        weights = tf.exp(tf.nn.log_softmax(energies))  # faster than softmax for few rows on CPUs
        context = self.matmul(weights, values)
        return tf.reshape(context, [-1, depth]), tf.reshape(weights, [-1, items])

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        return {**super().get_config(), "units": self.units}
