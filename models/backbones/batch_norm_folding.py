"""Fold batch norms into the convolutions before them, and weights into graph constants.

TensorFlow converts constants to the layout of their operation once, but variables at every call.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

MAX_CONSTANTS = 1 << 26  # bytes: each signature of an export holds its own copy
_CONVOLUTIONS = (keras.layers.Conv2D, keras.layers.DepthwiseConv2D)


def freeze_for_inference(model: keras.Model) -> Callable[..., tf.Tensor]:
    """Return a faster function with the outputs of a model in inference mode.

    Its batch norms are folded. Its current weights become constants, up to `MAX_CONSTANTS` bytes.
    """
    folded = fold_batch_norms(model)
    values = [(weight, weight.numpy()) for weight in folded.weights]
    if sum(value.nbytes for _, value in values) > MAX_CONSTANTS:
        return folded

    @tf.function(autograph=False, reduce_retracing=True)
    def frozen(inputs: tf.Tensor) -> tf.Tensor:
        constants = [(weight, tf.constant(value)) for weight, value in values]
        with keras.StatelessScope(state_mapping=constants):
            return folded(inputs, training=False)

    return lambda inputs, training=False: frozen(inputs)


def fold_batch_norms(model: keras.Model) -> keras.Model:
    """Return a model without batch norms that has the outputs of another in inference mode.

    After a convolution y = K ∗ x + b a batch norm is γ (y - μ) / √(σ² + ε) + β, which is again a
    convolution, with K γ / √(σ² + ε) (Jacob et al. 2018, section 3.2). A norm after any other layer
    is kept. All other layers are shared with the model, which is functional or sequential.
    """
    if isinstance(model, keras.Sequential):
        model = keras.Model(model.inputs[0], model.outputs[0], name=model.name)
    norms = _foldable(model)
    removed = {id(norm) for norm in norms.values()}

    def replace(layer: keras.Layer) -> keras.Layer:
        if id(layer) in removed:
            return keras.layers.Identity(name=layer.name)
        if layer in norms:
            return type(layer).from_config({**layer.get_config(), "use_bias": True})
        return fold_batch_norms(layer) if _is_functional(layer) else layer

    def call(layer: keras.Layer, *inputs: Any, **options: Any) -> Any:
        return layer(*inputs, **({} if isinstance(layer, keras.layers.Identity) else options))

    folded = keras.models.clone_model(model, clone_function=replace, call_function=call)
    for convolution, norm in norms.items():
        folded.get_layer(convolution.name).set_weights(_folded(convolution, norm))
    return folded


def _is_functional(layer: keras.Layer) -> bool:
    return isinstance(layer, keras.Model) and bool(getattr(layer, "inputs", None))


def _foldable(model: keras.Model) -> dict[keras.Layer, keras.layers.BatchNormalization]:
    """Return the norm after each convolution whose output has no other use."""
    outputs = {
        id(layer.output): layer
        for layer in model.layers
        if type(layer) in _CONVOLUTIONS and layer.activation is keras.activations.linear
    }
    inputs = [keras.tree.flatten(layer.input) for layer in model.layers]
    uses = Counter(id(tensor) for tensors in [*inputs, model.outputs] for tensor in tensors)
    return {
        outputs[id(layer.input)]: layer
        for layer in model.layers
        if isinstance(layer, keras.layers.BatchNormalization)
        and id(layer.input) in outputs
        and uses[id(layer.input)] == 1
    }


def _folded(convolution: Any, norm: Any) -> list[np.ndarray]:
    """Return the kernel and the bias of the folded convolution."""
    kernel, *bias = convolution.get_weights()
    scale = 1 / np.sqrt(norm.moving_variance.numpy() + norm.epsilon)
    if norm.scale:
        scale *= norm.gamma.numpy()
    shift = (sum(bias) - norm.moving_mean.numpy()) * scale
    if norm.center:
        shift += norm.beta.numpy()
    channels = kernel.shape[2:] if isinstance(convolution, keras.layers.DepthwiseConv2D) else [-1]
    return [kernel * scale.reshape(channels), shift]
