"""Training on RNN tasks: reproducible results and their gradients."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from pipelines.diagnostics import rnn_training
from pipelines.diagnostics.gradient_flow import measure_gradient_flow
from pipelines.diagnostics.rnn_tasks import RNN_TASKS
from pipelines.diagnostics.rnn_training import Trial, run_trial

TRIAL = Trial("adding", 4, "rnn", 0, units=8, steps=20, batch_size=8, learning_rate=1e-2)


def test_a_short_adding_task_is_solved_reproducibly(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rnn_training, "CHECK_EVERY", 50)
    trial = dataclasses.replace(TRIAL, length=2, units=16, steps=300, batch_size=32)
    first, again = run_trial(trial), run_trial(trial)
    assert first.solved and first.score <= 0.01 and first.steps_taken <= 300
    assert dataclasses.replace(first, seconds=0.0) == dataclasses.replace(again, seconds=0.0)
    assert 0 < first.gradient_before < 10 and 0 < first.gradient_after < 10


def test_the_gradient_at_the_first_step_equals_the_product_of_jacobians() -> None:
    trial = dataclasses.replace(TRIAL, cell="lstm", length=9, seed=4)
    task = RNN_TASKS["adding"]
    inputs, _ = task.make(np.random.default_rng(0), 20, 9, True)
    network = rnn_training._Network(trial, task, 2)
    found = rnn_training._remaining_gradient(trial, network, inputs)
    few = tf.constant(inputs[: rnn_training.MEASURED])
    assert found == pytest.approx(
        measure_gradient_flow("lstm", network.cell, few, seed=4).total[0], rel=1e-4
    )
