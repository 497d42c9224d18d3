"""The base of the layers: matrix products and their precision."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import keras
import tensorflow as tf

if (_backend := keras.backend.backend()) != "tensorflow":
    raise ImportError(
        f"Wordreel needs Keras's backend tensorflow, not {_backend}: unset KERAS_BACKEND, or "
        "change backend in ~/.keras/keras.json"
    )


class ProductPolicy(keras.DTypePolicy):
    """Compute in float32, but round the factors of matrix products to another dtype.

    bfloat16 doubles the speed of processors with instructions for it. Only the factors are rounded,
    so no loss scaling is needed (Kalamkar et al. 2019).
    """

    def __init__(self, products: str) -> None:
        """Create a policy; `products` is the dtype of the factors."""
        super().__init__("float32")
        self._name = f"float32_with_{products}_products"
        self.products = products


@contextlib.contextmanager
def use_policy(layer: keras.layers.Layer, policy: keras.DTypePolicy) -> Iterator[None]:
    """Trace calls of a layer and its sublayers inside this context under another policy."""
    layers = [each for each in layer._flatten_layers() if isinstance(each, Layer)]
    before = [each.dtype_policy for each in layers]
    try:
        for each in layers:
            each.dtype_policy = policy
        yield
    finally:
        for each, own in zip(layers, before, strict=True):
            each.dtype_policy = own


def product(x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """Multiply `[..., depth]` by `[depth, width]`, or by a batch of the rank of `x`."""
    if x.shape.rank == kernel.shape.rank:
        return tf.matmul(x, kernel)
    rows = tf.matmul(tf.reshape(x, [-1, x.shape[-1]]), kernel)  # one large product
    shape = tf.concat([tf.shape(x)[:-1], [kernel.shape[-1]]], axis=0)
    return tf.reshape(rows, shape)


_product: Callable[[tf.Tensor, tf.Tensor], tf.Tensor] = product


@contextlib.contextmanager
def override_product(replacement: Callable[[tf.Tensor, tf.Tensor], tf.Tensor]) -> Iterator[None]:
    """Use `replacement(x, kernel)` for every `Layer.matmul` traced inside this context."""
    global _product
    before, _product = _product, replacement
    try:
        yield
    finally:
        _product = before


class Layer(keras.layers.Layer):
    """Base of the layers: computes in the compute dtype of its policy, see `ProductPolicy`.

    Weights are cast explicitly, since decoding calls methods other than `call`.
    """

    @property
    def product_dtype(self) -> str:
        """The dtype of the factors of matrix products."""
        return str(getattr(self.dtype_policy, "products", self.compute_dtype))

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of `keras.layers.Layer`; a `ProductPolicy` is not saved."""
        config: dict[str, Any] = super().get_config()
        return {**config, "dtype": "float32"} if hasattr(self.dtype_policy, "products") else config

    def cast(self, x: Any) -> tf.Tensor:
        """Cast a tensor or weight to the compute dtype."""
        return tf.cast(x, self.compute_dtype)

    def matmul(self, x: tf.Tensor, kernel: Any) -> tf.Tensor:
        """Return x W, for the shapes of `product` and any float types, in the compute dtype."""
        x, kernel = tf.cast(x, self.product_dtype), tf.cast(kernel, self.product_dtype)
        return self.cast(_product(x, kernel))


@keras.saving.register_keras_serializable("wordreel")
class Linear(Layer):
    """y = activation(x W + b), with the product computed by `matmul`."""

    def __init__(
        self, units: int, activation: str | None = None, use_bias: bool = True, **layer: Any
    ) -> None:
        """Create a layer to `units` dimensions; `activation` is a name that Keras knows."""
        super().__init__(**layer)
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
        outputs = self.matmul(inputs, self.kernel)
        return self.activation(outputs + self.cast(self.bias) if self.use_bias else outputs)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        activation = keras.activations.serialize(self.activation)
        own = {"units": self.units, "activation": activation, "use_bias": self.use_bias}
        return {**super().get_config(), **own}
