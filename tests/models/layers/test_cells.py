"""The cells' equations against NumPy and against Keras."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from models.layers.cells import CELLS, LSTMCell, LSTMState, fused_lstm
from pipelines.config import config

BATCH, TIME, DEPTH, UNITS = 3, 7, 5, 4


@pytest.fixture
def cell() -> LSTMCell:
    keras.utils.set_random_seed(1)
    cell = LSTMCell(UNITS)
    cell.build((None, DEPTH))
    cell.bias.assign(np.random.default_rng(0).normal(size=4 * UNITS))
    return cell


def inputs() -> np.ndarray:
    return np.random.default_rng(1).normal(size=(BATCH, TIME, DEPTH)).astype(np.float32)


def run(cell: Any, xs: np.ndarray) -> np.ndarray:
    state, hs = cell.initial_state(len(xs)), []
    for t in range(xs.shape[1]):
        state = cell.step(cell.project(tf.constant(xs[:, t])), state)
        hs.append(state.h.numpy())
    return np.stack(hs, axis=1)


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def numpy_lstm(
    xs: np.ndarray, kernel: np.ndarray, recurrent: np.ndarray, bias: np.ndarray
) -> np.ndarray:
    """Compute the equations gate by gate, in float64."""
    gates = {}
    h = c = np.zeros((len(xs), UNITS))
    hs = []
    for t in range(xs.shape[1]):
        for k, gate in enumerate("ifgo"):
            part = slice(k * UNITS, (k + 1) * UNITS)
            gates[gate] = xs[:, t] @ kernel[:, part] + h @ recurrent[:, part] + bias[part]
        c = sigmoid(gates["f"]) * c + sigmoid(gates["i"]) * np.tanh(gates["g"])
        h = sigmoid(gates["o"]) * np.tanh(c)
        hs.append(h)
    return np.stack(hs, axis=1)


def numpy_rnn(
    xs: np.ndarray, kernel: np.ndarray, recurrent: np.ndarray, bias: np.ndarray
) -> np.ndarray:
    h, hs = np.zeros((len(xs), UNITS)), []
    for t in range(xs.shape[1]):
        h = np.tanh(xs[:, t] @ kernel + h @ recurrent + bias)
        hs.append(h)
    return np.stack(hs, axis=1)


def numpy_gru(
    xs: np.ndarray, kernel: np.ndarray, recurrent: np.ndarray, bias: np.ndarray
) -> np.ndarray:
    """Compute the equations gate by gate, in float64."""
    h, hs = np.zeros((len(xs), UNITS)), []
    z, r, g = (slice(k * UNITS, (k + 1) * UNITS) for k in range(3))
    for t in range(xs.shape[1]):
        x = xs[:, t]
        update = sigmoid(x @ kernel[:, z] + bias[0, z] + h @ recurrent[:, z] + bias[1, z])
        reset = sigmoid(x @ kernel[:, r] + bias[0, r] + h @ recurrent[:, r] + bias[1, r])
        new = x @ kernel[:, g] + bias[0, g] + reset * (h @ recurrent[:, g] + bias[1, g])
        h = update * h + (1 - update) * np.tanh(new)
        hs.append(h)
    return np.stack(hs, axis=1)


NUMPY: dict[str, Callable[..., np.ndarray]] = {
    "rnn": numpy_rnn,
    "lstm": numpy_lstm,
    "gru": numpy_gru,
}
KERAS = {"rnn": keras.layers.SimpleRNN, "lstm": keras.layers.LSTM, "gru": keras.layers.GRU}


@pytest.fixture(params=CELLS)
def named(request: pytest.FixtureRequest) -> tuple[str, Any]:
    """Return a name and its cell, with biases that are not zeros."""
    keras.utils.set_random_seed(1)
    cell = CELLS[request.param](UNITS)
    cell.build((None, DEPTH))
    cell.bias.assign(np.random.default_rng(0).normal(size=cell.bias.shape))
    return request.param, cell


def test_every_cell_equals_its_equations_in_numpy(named: tuple[str, Any]) -> None:
    name, cell = named
    weights = [weight.astype(np.float64) for weight in cell.get_weights()]
    expected = NUMPY[name](inputs().astype(np.float64), *weights)
    np.testing.assert_allclose(run(cell, inputs()), expected, atol=1e-6)


@pytest.mark.parametrize("named", KERAS, indirect=True)
def test_cells_equal_keras_on_the_same_weights(named: tuple[str, Any]) -> None:
    name, cell = named
    layer = KERAS[name](UNITS, return_sequences=True)
    layer.build((None, TIME, DEPTH))
    layer.set_weights(cell.get_weights())
    np.testing.assert_allclose(run(cell, inputs()), layer(inputs()).numpy(), atol=1e-6)


def test_the_option_has_every_cell() -> None:
    assert tuple(CELLS) == config.CELLS


def test_weights_round_trip_through_keras(cell: LSTMCell) -> None:
    layer = keras.layers.LSTM(UNITS, return_sequences=True)
    expected = layer(inputs()).numpy()
    cell.set_weights(layer.get_weights())
    np.testing.assert_allclose(run(cell, inputs()), expected, atol=1e-5)


def test_the_fused_kernel_has_the_same_outputs_and_gradients(cell: LSTMCell) -> None:
    xs = tf.constant(inputs())
    state = LSTMState(tf.ones([BATCH, UNITS]) / 3, tf.ones([BATCH, UNITS]) / 2)
    with tf.GradientTape(persistent=True) as tape:
        fused = fused_lstm(cell, xs, state)
        now, hs = state, []
        for t in range(TIME):
            now = cell.step(cell.project(xs[:, t]), now)
            hs.append(now.h)
        stepped = tf.stack(hs, axis=1)
        losses = tf.reduce_sum(fused**2), tf.reduce_sum(stepped**2)
    np.testing.assert_allclose(fused, stepped, atol=1e-5)
    for variable in cell.trainable_variables:
        ours, theirs = (tape.gradient(loss, variable.value) for loss in losses)
        np.testing.assert_allclose(ours, theirs, atol=1e-4)


def test_projecting_all_steps_at_once_equals_projecting_each(cell: LSTMCell) -> None:
    xs = tf.constant(inputs())
    together = cell.project(xs)
    each = tf.stack([cell.project(xs[:, t]) for t in range(TIME)], axis=1)
    np.testing.assert_allclose(together, each, atol=1e-6)


def test_forget_gate_bias_starts_at_one() -> None:
    cell = LSTMCell(UNITS)
    cell.build((None, DEPTH))
    i, f, g, o = np.split(cell.bias.numpy(), 4)
    assert (f == 1).all()
    assert not np.concatenate([i, g, o]).any()


def test_a_saturated_forget_gate_keeps_the_cell() -> None:
    big = tf.constant([[-50.0, 50.0, 0.0, 50.0]])  # i closed, f open, o open
    cell = LSTMCell(1)
    cell.build((None, 1))
    state = cell.step(big, LSTMState(tf.zeros([1, 1]), tf.constant([[0.7]])))
    np.testing.assert_allclose(state.c, [[0.7]], atol=1e-6)
    np.testing.assert_allclose(state.h, np.tanh([[0.7]]), atol=1e-6)


KERAS = {"rnn": keras.layers.SimpleRNN, "gru": keras.layers.GRU, "lstm": keras.layers.LSTM}


@pytest.mark.parametrize("name", CELLS)
def test_a_cell_runs_in_keras_layers(name: str, tmp_path: Path) -> None:
    """Masked, in both directions, in a symbolic model, saved and loaded: as Keras's own layer."""
    ids = keras.Input((None,), dtype="int32")
    embedded = keras.layers.Embedding(9, DEPTH, mask_zero=True)(ids)
    ours = keras.layers.Bidirectional(
        keras.layers.RNN(CELLS[name](UNITS), return_sequences=True, return_state=True)
    )
    theirs = keras.layers.Bidirectional(
        KERAS[name](UNITS, return_sequences=True, return_state=True)
    )
    model = keras.Model(ids, [ours(embedded), theirs(embedded)])
    theirs.set_weights(ours.get_weights())
    batch = np.array([[3, 1, 4, 1, 5], [2, 7, 0, 0, 0]])
    found, expected = model(batch)
    for one, two in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, two, atol=1e-6)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    for one, two in zip(loaded(batch)[0], expected, strict=True):
        np.testing.assert_allclose(one, two, atol=1e-6)


@pytest.mark.parametrize("name", CELLS)
def test_a_cell_is_trained_by_keras(name: str) -> None:
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.layers.RNN(CELLS[name](16)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.Adam(0.02), "mse")
    xs = np.random.default_rng(0).normal(size=(64, 6, 2)).astype("float32")
    losses = model.fit(xs, xs[:, -1, :1], epochs=30, verbose=0).history["loss"]
    assert losses[-1] < 0.2 * losses[0]
