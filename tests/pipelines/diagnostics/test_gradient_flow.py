"""Gradient flow: equations, automatic differentiation, and the reported summaries."""

from __future__ import annotations

import csv
import functools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from matplotlib.figure import Figure
from PIL import Image

from data.common.errors import UserError
from models.layers.cells import CELLS
from pipelines.cli import gradient_flow as gradient_flow_command
from pipelines.cli.main import run
from pipelines.config.config import CELLS as NAMES
from pipelines.diagnostics import gradient_flow
from pipelines.diagnostics.gradient_flow import (
    INITIALIZERS,
    GradientFlow,
    build_cell,
    describe,
    measure_gradient_flow,
)

UNITS, EXAMPLES, STEPS = 6, 3, 40


def inputs(steps: int = STEPS) -> tf.Tensor:
    return tf.random.stateless_normal((EXAMPLES, steps, UNITS), [1, 2])


def cell_of(name: str, initializer: str = "glorot", scale: float = 1.0) -> Any:
    return build_cell(name, UNITS, initializer=initializer, scale=scale, seed=3)


def test_the_jacobian_of_the_rnn_equals_its_equation() -> None:
    """J_t = diag(tanh′(W_hh h_{t-1} + W_xh x_t + b)) W_hh, in the column convention."""
    cell = cell_of("rnn")
    projected, state = cell.project(inputs()), cell.initial_state(EXAMPLES)
    jacobian_of = tf.function(
        functools.partial(gradient_flow.jacobian, lambda x, state: (x, cell.step(x, state)))
    )
    kernel, recurrent, bias = (weight.astype(float) for weight in cell.get_weights())
    xs = inputs().numpy().astype(float)
    for t in range(STEPS):
        z = state.h.numpy().astype(float) @ recurrent + xs[:, t] @ kernel + bias
        formula = np.stack([np.diag(1 / np.cosh(row) ** 2) @ recurrent.T for row in z])
        found, state = jacobian_of(projected[:, t], state)
        np.testing.assert_allclose(found, formula, atol=1e-6)
        np.testing.assert_allclose(state.h, np.tanh(z), atol=1e-6)


@pytest.mark.parametrize("name", CELLS)
def test_the_product_of_jacobians_equals_the_automatic_gradient(name: str) -> None:
    cell, xs, steps = cell_of(name), inputs(), STEPS
    directions = np.random.default_rng(7).normal(size=(EXAMPLES, UNITS))
    directions /= np.linalg.norm(directions, axis=-1, keepdims=True)
    state, states = cell.initial_state(EXAMPLES), []
    with tf.GradientTape() as tape:
        for t in range(steps):
            # A separate node per part of the state: the h_t of an LSTM depends on its c_t.
            state = type(state)(*map(tf.identity, cell.step(cell.project(xs[:, t]), state)))
            tape.watch(list(state))
            states.append(state)
        loss = tf.reduce_sum(tf.cast(directions, tf.float32) * state.h)
    gradients = tape.gradient(loss, states, unconnected_gradients="zero")
    flow = measure_gradient_flow(name, cell, xs, seed=7)
    for number, part in enumerate(states[0]._fields):
        norms = [np.median(np.linalg.norm(each[number], axis=-1)) for each in gradients]
        np.testing.assert_allclose(flow.gradients[part], norms, rtol=1e-4, atol=1e-9)


def test_singular_values_equal_the_expected_ones() -> None:
    cell = cell_of("rnn", initializer="orthogonal", scale=1.5)
    flow = measure_gradient_flow("rnn", cell, tf.zeros([EXAMPLES, 5, UNITS]))
    np.testing.assert_allclose(flow.singular_values, 1.5, rtol=1e-5)  # at h = 0, tanh′ = 1


@pytest.mark.parametrize("initializer", INITIALIZERS)
def test_recurrent_weights_are_initialized_as_requested(initializer: str) -> None:
    blocks = np.split(
        cell_of("lstm", initializer=initializer, scale=3.0).recurrent_kernel.numpy(), 4, 1
    )
    if initializer == "identity":
        np.testing.assert_array_equal(blocks, [3 * np.eye(UNITS)] * 4)
    if initializer == "orthogonal":
        for block in blocks:
            np.testing.assert_allclose(block @ block.T, 9 * np.eye(UNITS), atol=1e-5)


def test_over_300_steps_the_rnn_gradient_vanishes_and_the_lstm_gradient_does_not() -> None:
    """Over 300 steps the gradient of the RNN underflows float32; that of the LSTM does not."""
    rnn = measure_gradient_flow("rnn", cell_of("rnn", initializer="orthogonal"), inputs(300))
    lstm = measure_gradient_flow("lstm", cell_of("lstm", initializer="orthogonal"), inputs(300))
    assert 0 < rnn.total[0] < 1e-45  # below the smallest float32
    assert lstm.total[0] > 1e30 * rnn.total[0]
    assert "rnn: the gradient vanished" in describe(rnn)


def test_summaries_of_exploded_and_preserved_gradients() -> None:
    rising = GradientFlow("rnn", {"h": 2.0 ** np.arange(20)[::-1]}, np.ones([20, 1]))
    assert "(× 0.5" not in describe(rising)
    assert "exploded" in describe(rising) and "exceeds 1000 after 10 steps" in describe(rising)
    level = GradientFlow("lstm", {"h": np.ones(20), "c": np.zeros(20)}, np.ones([20, 1]))
    assert describe(level).startswith("lstm: the gradient was preserved: norm 1 at step 20, 1 at")
    gone = GradientFlow("rnn", {"h": np.array([0.0, 0.0, 1.0])}, np.ones([3, 1]))
    assert "vanished completely" in describe(gone)
    ended = GradientFlow("decoder", {"h": np.array([0.2, 0.1, 0.1, 0.0, 0.0])}, np.ones([5, 1]))
    assert describe(ended).startswith(
        "decoder: the gradient was preserved: norm 0.1 at step 3, 0.2"
    )
    nothing = GradientFlow("decoder", {"h": np.zeros(3)}, np.ones([3, 1]))
    assert describe(nothing) == "decoder: no gradient at any step."


def test_the_command_writes_a_plot_and_a_table(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "flow.png"
    options = f"--length 12 --units 5 --examples 2 --out {out}"
    assert run(["gradient-flow", "--cell", "rnn", "lstm", *options.split()]) == 0
    output = capfd.readouterr().out
    assert "rnn: the gradient" in output and "lstm: the gradient" in output
    with Image.open(out) as image:
        assert image.width > 500
    with out.with_suffix(".csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(row["cell"], int(row["t"])) for row in rows[::12]] == [("rnn", 1), ("lstm", 1)]
    assert len(rows) == 24
    assert float(rows[11]["gradient_h"]) == pytest.approx(1)
    assert rows[0]["gradient_c"] == "" and float(rows[12]["gradient_c"]) > 0
    assert all(float(row["sigma_max"]) >= float(row["sigma_min"]) for row in rows)


def test_the_axes_fit_small_gradients_and_whole_steps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    figures = []

    class RecordingFigure(Figure):
        def savefig(self, *args: Any, **options: Any) -> None:
            figures.append(self)
            super().savefig(*args, **options)

    monkeypatch.setattr(gradient_flow, "Figure", RecordingFigure)
    flow = GradientFlow("forwards_0", {"h": np.geomspace(1e-5, 1e-4, 20)}, np.ones([20, 1]))
    gradient_flow.plot(tmp_path / "flow.png", [flow], "", "of the run")
    gradient, singular_values = figures[0].axes
    assert gradient.get_ylim()[1] < 1e-3
    assert all(float(tick).is_integer() for tick in singular_values.get_xticks())


@pytest.mark.parametrize(
    ("words", "part"),
    [
        ("--cell elman", "--cell invalid choice: 'elman'"),
        ("--length 0", "--length must be at least 1"),
        ("--seed -1", "--seed must be 0 or more"),
        ("--out flow.pdf", "--out must end in .png"),
        ("--scale 0", "--scale must be above 0"),
        ("runs/letters --cell rnn", "--cell applies to new cells only: remove it, or the run"),
    ],
)
def test_invalid_arguments_are_reported(
    words: str, part: str, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=part):
        run(["gradient-flow", *words.split()])


def test_a_gradient_overflow_is_reported() -> None:
    with pytest.raises(UserError, match="lower --scale"):
        measure_gradient_flow(
            "rnn", cell_of("rnn", initializer="identity", scale=1e6), tf.zeros([2, 99, UNITS])
        )


def test_the_command_line_lists_all_choices() -> None:
    assert set(NAMES) == set(CELLS)
    assert set(gradient_flow_command.INITIALIZERS) == set(INITIALIZERS)
