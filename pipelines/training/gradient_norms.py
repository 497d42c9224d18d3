"""How much of a loss's gradient reaches the first step of each recurrent loop, while training."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from models.layers.unroll import output_state, record_loops, state_gradients


def flow_norms(model: Any, batch: tuple[Any, Any]) -> dict[str, float]:
    """Return ‖∂L/∂h_t‖ at the first and the last step of each loop, for one batch.

    Nothing that training depends on moves, not even the dropout generators.

    Args:
        model: an `EncoderHead`.
        batch: what it is trained on.
    """
    before = [(seed, tf.identity(seed)) for seed in seeds(model)]
    with tf.GradientTape(watch_accessed_variables=False) as tape, record_loops(tape) as loops:
        loss = model.loss(*batch)
    found = state_gradients(tape, loss, loops)
    for seed, state in before:
        seed.assign(state)
    norms = {}
    for loop, gradient in zip(loops, found, strict=True):
        ends = {"first": output_state(gradient).h[0], "last": output_state(gradient).h[-1]}
        for end, each in ends.items():
            norms[f"gradient flow/{loop.name}, {end} step"] = float(tf.norm(each))
    return norms


def seeds(model: Any) -> list[tf.Variable]:
    """Return the states of the random generators of a model's encoder and head.

    TensorFlow does not find them itself.
    """
    return [state for layer in (model.encoder, model.head) for state in _states(layer)]


def _states(layer: Any) -> list[tf.Variable]:
    weights = {id(variable) for variable in layer.weights}
    return [variable.value for variable in layer.variables if id(variable) not in weights]
