"""Gradient flow in a trained run: ∂L/∂h_t of its loss on a batch of its training data."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from data.common.errors import UserError
from models.layers.unroll import RecordedLoop, output_state, record_loops, state_gradients
from pipelines.diagnostics.gradient_flow import GradientFlow, jacobian, mean_singular_values
from pipelines.inputs.batches import Batch
from pipelines.tasks.assembly import load_experiment

MAX_BATCHES = 50  # number of batches from which the one with the longest sequences is selected


def measure_run(folder: Path, examples: int) -> list[GradientFlow]:
    """Measure each recurrent loop of a run's best model on long sequences of the training split.

    Dropout is applied.

    Args:
        folder: the run directory.
        examples: batch size.

    Raises:
        UserError: if the run has no weights, or no recurrent layer.
    """
    experiment = load_experiment(folder, batch_size=examples)
    inputs, targets = _select_batch(experiment.batches(0))
    with tf.GradientTape(watch_accessed_variables=False) as tape, record_loops(tape) as loops:
        loss = experiment.model.training_loss(inputs, targets)
    if not loops:
        raise UserError(f"the model of {folder} has no recurrent layer")
    found = state_gradients(tape, loss, loops)
    return [_flow(loop, gradient) for loop, gradient in zip(loops, found, strict=True)]


def _select_batch(batches: Iterable[Batch]) -> Batch:
    """Return the longest batch without padding, if any, among the first `MAX_BATCHES`."""

    def rank(batch: Batch) -> tuple[bool, int]:
        parts = [each for each in tf.nest.flatten(batch) if each.shape.rank > 1]
        ends = [each[:, -1] for each in parts if each.shape.rank == 2]  # ids and masks
        full = all(bool(tf.reduce_all(tf.cast(end, tf.bool))) for end in ends)
        # Inputs other than sequences have the same length in every batch.
        return full, sum(int(each.shape[1]) for each in parts)

    return max(itertools.islice(batches, MAX_BATCHES), key=rank)


def _flow(loop: RecordedLoop, gradient: Any) -> GradientFlow:
    norms = {
        name: np.median(np.linalg.norm(part.numpy().astype(float), axis=-1), axis=1)
        for name, part in output_state(gradient)._asdict().items()
    }
    return GradientFlow(loop.name, norms, _singular_values(loop))


def _singular_values(loop: RecordedLoop) -> np.ndarray:
    """Return the singular values of ∂h_t/∂h_{t-1}, the mean over examples: `[time, units]`."""
    values, state = [], loop.initial_state
    step = tf.function(
        functools.partial(jacobian, loop.step), reduce_retracing=True, autograph=False
    )
    for each in loop.inputs:
        found, state = step(each, state)
        values.append(mean_singular_values(found, output_state(state).h.shape[-1]))
    return np.stack(values)
