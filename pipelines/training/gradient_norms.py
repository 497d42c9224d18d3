"""How much of the loss's gradient reaches the first step of each recurrent loop in training."""

from __future__ import annotations

import keras
import tensorflow as tf

from models.encoder_head import EncoderHead
from models.layers.unroll import output_state, record_loops, state_gradients
from pipelines.inputs.batches import Batch


def gradient_flow_norms(model: EncoderHead, batch: Batch) -> dict[str, float]:
    """Return ‖∂L/∂h_t‖ at the first and the last step of each loop, for one training batch.

    No state of training changes, not even that of the dropout generators.
    """
    before = [(seed, tf.identity(seed)) for seed in generator_states(model)]
    with tf.GradientTape(watch_accessed_variables=False) as tape, record_loops(tape) as loops:
        loss = model.training_loss(*batch)
    gradients = state_gradients(tape, loss, loops)
    for seed, state in before:
        seed.assign(state)
    norms = {}
    for loop, gradient in zip(loops, gradients, strict=True):
        ends = {"first": output_state(gradient).h[0], "last": output_state(gradient).h[-1]}
        for end, each in ends.items():
            norms[f"gradient flow/{loop.name}, {end} step"] = float(tf.norm(each))
    return norms


def generator_states(model: EncoderHead) -> list[tf.Variable]:
    """Return the states of the random generators of a model's encoder and head.

    TensorFlow's checkpoints do not find them by themselves.
    """
    return [state for layer in (model.encoder, model.head) for state in _states(layer)]


def _states(layer: keras.layers.Layer) -> list[tf.Variable]:
    weights = {id(variable) for variable in layer.weights}
    return [variable.value for variable in layer.variables if id(variable) not in weights]
