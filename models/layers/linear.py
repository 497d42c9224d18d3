"""The matrix product of every layer, and its precision."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import keras
import tensorflow as tf

_dtype = tf.float32


@contextlib.contextmanager
def matmul_precision(dtype: tf.DType) -> Iterator[None]:
    """Compute the products traced inside this context in `dtype`.

    bfloat16 doubles the speed of processors with instructions for it. Only the factors are rounded,
    so no loss scaling is needed (Kalamkar et al. 2019).
    """
    global _dtype
    before, _dtype = _dtype, dtype
    try:
        yield
    finally:
        _dtype = before


def to_matmul_precision(x: tf.Tensor) -> tf.Tensor:
    """Cast x to the precision of products."""
    return tf.cast(x, _dtype)


def product(x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """Multiply `[..., depth]` by `[depth, width]`, or by a batch of the rank of `x`, to float32."""
    if x.shape.rank == kernel.shape.rank:
        return tf.cast(tf.matmul(x, kernel), tf.float32)
    rows = tf.matmul(tf.reshape(x, [-1, x.shape[-1]]), kernel)  # one large product
    shape = tf.concat([tf.shape(x)[:-1], [kernel.shape[-1]]], axis=0)
    return tf.reshape(tf.cast(rows, tf.float32), shape)


def _default_matmul(x: tf.Tensor, kernel: Any) -> tf.Tensor:
    return product(to_matmul_precision(x), to_matmul_precision(kernel))


_matmul: Callable[[tf.Tensor, Any], tf.Tensor] = _default_matmul


@contextlib.contextmanager
def override_matmul(replacement: Callable[[tf.Tensor, Any], tf.Tensor]) -> Iterator[None]:
    """Use `replacement(x, kernel)` for every `matmul` traced inside this context."""
    global _matmul
    before, _matmul = _matmul, replacement
    try:
        yield
    finally:
        _matmul = before


def matmul(x: tf.Tensor, kernel: Any) -> tf.Tensor:
    """Return x W, for `product`'s shapes and any float types, in the precision of products."""
    return _matmul(x, kernel)


class Linear(keras.layers.Layer):
    """y = activation(x W + b), with the product computed by `matmul`."""

    def __init__(
        self,
        units: int,
        activation: str | None = None,
        use_bias: bool = True,
        name: str | None = None,
    ) -> None:
        """Create a layer to `units` dimensions; `activation` is a name that Keras knows."""
        super().__init__(name=name)
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
