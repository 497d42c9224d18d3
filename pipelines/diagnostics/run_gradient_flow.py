"""Gradient flow in a trained run: ∂L/∂h_t of its own loss on a batch of its own data."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from data.common.errors import UserError
from models.layers.unroll import RecordedLoop, output_state, record_loops, state_gradients
from pipelines.diagnostics.gradient_flow import Flow
from pipelines.tasks.assembly import load_run

SEARCHED = 50  # batches among which the one with the longest sequences is measured


def measure_run(folder: Path, examples: int) -> list[Flow]:
    """Measure each recurrent loop of a run's best model.

    The batch is one of long sequences of the training split; dropout is as in training.

    Args:
        folder: of the run.
        examples: in the batch.

    Returns:
        A `Flow` a loop: ‖∂L/∂h_t‖ of each step, the median over examples; and the singular values
        of ∂h_t/∂h_{t-1}.

    Raises:
        UserError: if there is no run with weights, or nothing in it is recurrent.
    """
    experiment = load_run(folder, batch_size=examples)
    inputs, targets = _longest(experiment.batches(0))
    with tf.GradientTape(watch_accessed_variables=False) as tape, record_loops(tape) as loops:
        loss = experiment.model.loss(inputs, targets)
    if not loops:
        raise UserError(f"nothing in the model of {folder} is recurrent")
    found = state_gradients(tape, loss, loops)
    return [_flow(loop, gradient) for loop, gradient in zip(loops, found, strict=True)]


def _longest(batches: Any) -> Any:
    """Return the longest batch without padding, if any, among the first `SEARCHED`."""

    def rank(batch: Any) -> tuple[bool, int]:
        parts = [each for each in tf.nest.flatten(batch) if each.shape.rank > 1]
        ends = [each[:, -1] for each in parts if each.shape.rank == 2]  # ids and masks
        full = all(bool(tf.reduce_all(tf.cast(end, tf.bool))) for end in ends)
        # What is no sequence is as long in every batch.
        return full, sum(int(each.shape[1]) for each in parts)

    return max(batches.take(SEARCHED), key=rank)


def _flow(loop: RecordedLoop, gradient: Any) -> Flow:
    norms = {
        name: np.median(np.linalg.norm(part.numpy().astype(float), axis=-1), axis=1)
        for name, part in output_state(gradient)._asdict().items()
    }
    return Flow(loop.name, norms, _singular(loop))


def _singular(loop: RecordedLoop) -> np.ndarray:
    """Return the singular values of ∂h_t/∂h_{t-1}, the mean over examples: `[time, units]`."""
    values, state = [], loop.initial_state
    step = tf.function(functools.partial(_jacobian, loop), reduce_retracing=True)
    for each in loop.inputs:
        jacobian, state = step(each, state)
        values.append(np.linalg.svd(jacobian.numpy(), compute_uv=False).mean(axis=0))
    return np.stack(values).astype(float)


def _jacobian(loop: RecordedLoop, inputs: tf.Tensor, state: Any) -> tuple[tf.Tensor, Any]:
    """Return ∂h_t/∂h_{t-1}, `[examples, units, units]`, and the state after the step."""
    with tf.GradientTape() as tape:
        h = output_state(state).h
        tape.watch(h)
        _, after = loop.step(inputs, state)
    return tape.batch_jacobian(output_state(after).h, h), after
