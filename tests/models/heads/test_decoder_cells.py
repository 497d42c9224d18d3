"""The decoder cells against the equations of their papers, in NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from models.heads.decoder_cells import DECODERS, ShowAttendTellCell, ShowTellCell, UpDownCell
from models.layers.cells import CELLS
from models.memory import Memory

BATCH, ITEMS, DEPTH, UNITS, EMBEDDING = 2, 3, 5, 4, 3


def built(name: str, cell: str = "lstm") -> Any:
    """Return a decoder cell whose weights, biases included, are random."""
    layer = DECODERS[name](UNITS, cell)
    layer.build(EMBEDDING, DEPTH)
    rng = np.random.default_rng(0)
    layer.set_weights([rng.normal(scale=0.5, size=w.shape) for w in layer.get_weights()])
    return layer


def normal(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@pytest.fixture
def memory() -> Memory:
    values = normal(1, BATCH, ITEMS, DEPTH)
    mask = np.array([[True, True, False], [True, True, True]])
    return Memory(tf.constant(values), tf.constant(mask), tf.constant(normal(2, BATCH, DEPTH)))


def linear(layer: Any, x: np.ndarray) -> np.ndarray:
    kernel, *bias = (weight.numpy() for weight in layer.trainable_variables)
    return np.asarray(x @ kernel + (bias[0] if bias else 0.0))


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def run(cell: Any, inputs: np.ndarray, state: Any) -> Any:
    """Run a recurrent cell, which test_cells.py compares with its own equations."""
    return cell.step(cell.project(tf.constant(inputs, tf.float32)), state)


def attend(attention: Any, query: np.ndarray, memory: Memory) -> tuple[np.ndarray, np.ndarray]:
    keys = linear(attention.to_key, memory.values.numpy())
    energies = np.tanh(keys + query[:, np.newaxis]) @ attention.v.numpy()[:, 0]
    weights = np.exp(energies) * memory.mask.numpy()
    weights /= weights.sum(axis=1, keepdims=True)
    return np.einsum("bi,bid->bd", weights, memory.values.numpy()), weights


def first_step(layer: Any, memory: Memory, x: np.ndarray) -> tuple[Any, Any, Any, Any]:
    initial = layer.initial_state(memory)
    projected = layer.project(tf.constant(x))
    return initial, *layer.step(projected, initial, layer.prepare(memory))


@pytest.mark.parametrize("name", DECODERS)
def test_the_initial_state_is_computed_from_the_summary(name: str, memory: Memory) -> None:
    layer = built(name)
    state = layer.initial_state(memory)
    h, c = np.split(np.tanh(linear(layer.first_state, memory.summary.numpy())), 2, axis=-1)
    for each in state if name == "updown" else (state,):
        np.testing.assert_allclose(each.h, h, atol=1e-5)
        np.testing.assert_allclose(each.c, c, atol=1e-5)


def test_show_and_tell_runs_its_cell_without_attention(memory: Memory) -> None:
    layer: ShowTellCell = built("show-tell")
    x = normal(3, BATCH, EMBEDDING)
    initial, output, state, weights = first_step(layer, memory, x)
    expected = run(layer.cell, x, initial)
    np.testing.assert_allclose(output, expected.h, atol=1e-5)
    np.testing.assert_allclose(state.c, expected.c, atol=1e-5)
    assert weights.shape == (BATCH, 0)


def test_show_attend_and_tell_equals_its_equations(memory: Memory) -> None:
    layer: ShowAttendTellCell = built("show-attend-tell")
    x = normal(3, BATCH, EMBEDDING)
    initial, output, state, weights = first_step(layer, memory, x)
    h = initial.h.numpy()
    query = linear(layer.attention.to_query, h) + linear(layer.ask, x)
    context, alpha = attend(layer.attention, query, memory)
    gated = sigmoid(linear(layer.gate, h)) * context
    projected = layer.cell.project(tf.constant(x)).numpy() + gated @ layer.context_kernel.numpy()
    expected = layer.cell.step(tf.constant(projected), initial)
    np.testing.assert_allclose(weights, alpha, atol=1e-5)
    np.testing.assert_allclose(state.h, expected.h, atol=1e-5)
    np.testing.assert_allclose(output, np.concatenate([expected.h, gated], axis=1), atol=1e-5)
    assert layer.output_depth == UNITS + DEPTH


def test_updown_equals_its_equations(memory: Memory) -> None:
    layer: UpDownCell = built("updown")
    x = normal(3, BATCH, EMBEDDING)
    initial, output, state, weights = first_step(layer, memory, x)
    projected = (
        layer.attend.project(tf.constant(x)).numpy()
        + memory.summary.numpy() @ layer.summary_kernel.numpy()
        + initial.language.h.numpy() @ layer.feedback_kernel.numpy()
    )
    first = layer.attend.step(tf.constant(projected), initial.attend)
    query = linear(layer.attention.to_query, first.h.numpy())
    context, alpha = attend(layer.attention, query, memory)
    second = run(layer.language, np.concatenate([context, first.h], axis=1), initial.language)
    np.testing.assert_allclose(weights, alpha, atol=1e-5)
    np.testing.assert_allclose(output, second.h, atol=1e-5)
    np.testing.assert_allclose(state.attend.c, first.c, atol=1e-5)
    np.testing.assert_allclose(state.language.c, second.c, atol=1e-5)


@pytest.mark.parametrize(("name", "cell"), [*zip(DECODERS, CELLS, strict=True)])
def test_unrolling_equals_single_steps(name: str, cell: str, memory: Memory) -> None:
    layer, words = built(name, cell), normal(4, 3, 4, EMBEDDING)
    rows = tf.constant([1, 0, 1])
    outputs = layer.unroll(tf.constant(words), memory, rows)
    assert outputs.shape == (3, 4, layer.output_depth)
    of_rows = Memory(*(tf.gather(part, rows) for part in memory))
    state, cache = layer.initial_state(of_rows), layer.prepare(of_rows)
    for t in range(4):
        output, state, _ = layer.step(layer.project(tf.constant(words[:, t])), state, cache)
        np.testing.assert_allclose(outputs[:, t], output, atol=1e-5)


@pytest.mark.parametrize("name", ["show-attend-tell", "updown"])
def test_masked_items_have_weight_zero_and_no_effect(name: str, memory: Memory) -> None:
    layer, x = built(name), normal(3, BATCH, EMBEDDING)
    _, output, _, weights = first_step(layer, memory, x)
    assert weights.numpy()[0, 2] == 0
    values = memory.values.numpy().copy()
    values[0, 2] = 100.0
    _, other, _, _ = first_step(layer, memory._replace(values=tf.constant(values)), x)
    np.testing.assert_allclose(other, output, atol=1e-6)
