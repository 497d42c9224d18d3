"""Batch norms become part of the convolutions before them: the same function in fewer steps.

Weights that learn no more can be constants of the graph besides, which TensorFlow lays out for the
operations that read them, once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

MAX_CONSTANTS = 1 << 26  # bytes: each signature of an export holds a copy of its own
_CONVOLUTIONS = (keras.layers.Conv2D, keras.layers.DepthwiseConv2D)


def freeze_for_inference(model: keras.Model) -> Callable[..., tf.Tensor]:
    """Return a function that answers as a model does in inference, soonest.

    Its norms are folded, and its weights, unless they are many, constants: those of now.
    """
    folded = fold_batch_norms(model)
    values = [(weight, weight.numpy()) for weight in folded.weights]
    if sum(value.nbytes for _, value in values) > MAX_CONSTANTS:
        return folded

    @tf.function(autograph=False, reduce_retracing=True)
    def answer(inputs: tf.Tensor) -> tf.Tensor:
        constants = [(weight, tf.constant(value)) for weight, value in values]
        with keras.StatelessScope(state_mapping=constants):
            return folded(inputs, training=False)

    return lambda inputs, training=False: answer(inputs)


def fold_batch_norms(model: keras.Model) -> keras.Model:
    """Return a model that answers as another does in inference, without its batch norms.

    After a convolution y = K ∗ x + b a batch norm is γ (y - μ) / √(σ² + ε) + β, which is again a
    convolution, of K γ / √(σ² + ε) (Jacob et al. 2018, section 3.2, fold them likewise). A norm
    behind anything else stays. All other layers are shared with the model, which stays as it is.

    Args:
        model: made of layers by calls, with Keras's functional interface; others stay whole.
    """
    if isinstance(model, keras.Sequential):
        model = keras.Model(model.inputs[0], model.outputs[0], name=model.name)
    norms = _foldable(model)
    gone = {id(norm) for norm in norms.values()}

    def replace(layer: keras.Layer) -> keras.Layer:
        if id(layer) in gone:
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
    """Return the norm after each convolution whose output goes nowhere else."""
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
    """Return the kernel and the bias of both in one."""
    kernel, *bias = convolution.get_weights()
    scale = 1 / np.sqrt(norm.moving_variance.numpy() + norm.epsilon)
    if norm.scale:
        scale *= norm.gamma.numpy()
    shift = (sum(bias) - norm.moving_mean.numpy()) * scale
    if norm.center:
        shift += norm.beta.numpy()
    channels = kernel.shape[2:] if isinstance(convolution, keras.layers.DepthwiseConv2D) else [-1]
    return [kernel * scale.reshape(channels), shift]
