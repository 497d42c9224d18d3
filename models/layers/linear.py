"""The matrix product of every layer, and in what precision it is taken."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import keras
import tensorflow as tf

_dtype = tf.float32


@contextlib.contextmanager
def matmul_precision(dtype: tf.DType) -> Iterator[None]:
    """Take products in `dtype` in all that is traced inside; sums stay float32.

    bfloat16 halves the traffic and, where the processor has instructions for it, doubles the
    speed. Only the factors are rounded: weights, states and everything between products keep
    float32, so no loss scaling is needed (Kalamkar et al. 2019).
    """
    global _dtype
    before, _dtype = _dtype, dtype
    try:
        yield
    finally:
        _dtype = before


def rounded(x: tf.Tensor) -> tf.Tensor:
    """Return x in the precision of products."""
    return tf.cast(x, _dtype)


def product(x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """Multiply `rounded` factors: `[..., depth]` by `[depth, width]`, or by a batch of such.

    Returns:
        float32 `[..., width]`.
    """
    if x.shape.rank == kernel.shape.rank:
        return tf.cast(tf.matmul(x, kernel), tf.float32)
    rows = tf.matmul(tf.reshape(x, [-1, x.shape[-1]]), kernel)  # one product, not a batch of them
    shape = tf.concat([tf.shape(x)[:-1], [kernel.shape[-1]]], axis=0)
    return tf.reshape(tf.cast(rows, tf.float32), shape)


def _plain(x: tf.Tensor, kernel: Any) -> tf.Tensor:
    return product(rounded(x), rounded(kernel))


_take: Callable[[tf.Tensor, Any], tf.Tensor] = _plain


@contextlib.contextmanager
def products_by(take: Callable[[tf.Tensor, Any], tf.Tensor]) -> Iterator[None]:
    """Let `take(x, kernel)` answer for `matmul` in all that is traced inside."""
    global _take
    before, _take = _take, take
    try:
        yield
    finally:
        _take = before


def matmul(x: tf.Tensor, kernel: Any) -> tf.Tensor:
    """Return x W, for `product`'s shapes and any float types, in the precision of products."""
    return _take(x, kernel)


@keras.saving.register_keras_serializable(package="wordreel")
class Linear(keras.layers.Layer):
    """y = activation(x W + b), with the product taken by `matmul`.

    >>> layer = Linear(3)
    >>> layer.build((None, 2))
    >>> tuple(layer(tf.ones([4, 5, 2])).shape)
    (4, 5, 3)
    """

    def __init__(
        self, units: int, activation: str | None = None, use_bias: bool = True, **kwargs: Any
    ) -> None:
        """Map to `units` dimensions; `activation` is a Keras name."""
        super().__init__(**kwargs)
        self.units, self.use_bias = units, use_bias
        self.activation = keras.activations.get(activation)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create W `[depth, units]` and b `[units]`."""
        self.kernel = self.add_weight(
            shape=(input_shape[-1], self.units), initializer="glorot_uniform", name="kernel"
        )
        if self.use_bias:
            self.bias = self.add_weight(shape=(self.units,), initializer="zeros", name="bias")

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Map `[..., depth]` to `[..., units]`."""
        outputs = matmul(inputs, self.kernel)
        return self.activation(outputs + self.bias if self.use_bias else outputs)

    def get_config(self) -> dict[str, Any]:
        """Return what `from_config` needs."""
        return {
            **super().get_config(),
            "units": self.units,
            "activation": keras.activations.serialize(self.activation),
            "use_bias": self.use_bias,
        }
