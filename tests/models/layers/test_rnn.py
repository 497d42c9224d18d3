"""Masks, both directions and layers against Keras, and against sequences without padding."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from models.layers.cells import CELLS
from models.layers.rnn import Recurrent

BATCH, TIME, DEPTH, UNITS = 4, 6, 5, 3
LENGTHS = [6, 1, 4, 3]
MASK = np.arange(TIME) < np.array(LENGTHS)[:, np.newaxis]
KERAS = {"rnn": keras.layers.SimpleRNN, "lstm": keras.layers.LSTM, "gru": keras.layers.GRU}


def inputs() -> np.ndarray:
    return np.random.default_rng(1).normal(size=(BATCH, TIME, DEPTH)).astype(np.float32)


def built(cell: str, **options: Any) -> Recurrent:
    keras.utils.set_random_seed(3)
    layer = Recurrent(cell, UNITS, **options)
    layer.build((None, None, DEPTH))
    rng = np.random.default_rng(0)
    for weight in layer.weights:
        weight.assign(weight + 0.1 * rng.normal(size=weight.shape))
    return layer


def keras_layers(ours: Recurrent, cell: str) -> list[Any]:
    """The same network of Keras's own layers, with our weights."""
    layers = []
    for number, cells in enumerate(ours.cells):
        layer = KERAS[cell](UNITS, return_sequences=True)
        if ours.bidirectional:
            layer = keras.layers.Bidirectional(layer)
        layer.build((None, TIME, ours.depth if number else DEPTH))
        layer.set_weights([weight for each in cells for weight in each.get_weights()])
        layers.append(layer)
    return layers


@pytest.mark.parametrize("graph", [False, True])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("cell", KERAS)
def test_masked_stacked_bidirectional_layers_equal_keras(
    cell: str, bidirectional: bool, graph: bool
) -> None:
    ours = built(cell, layers=2, bidirectional=bidirectional)
    run = tf.function(ours) if graph else ours
    outputs, last = run(tf.constant(inputs()), tf.constant(MASK))
    expected = tf.constant(inputs())
    for layer in keras_layers(ours, cell):
        expected = layer(expected, mask=tf.constant(MASK))
    np.testing.assert_allclose(
        outputs.numpy()[MASK], expected.numpy()[MASK], atol=2e-6, err_msg="real items"
    )
    ends = [expected.numpy()[np.arange(BATCH), np.array(LENGTHS) - 1, :UNITS]]
    if bidirectional:
        ends.append(expected.numpy()[:, 0, UNITS:])
    np.testing.assert_allclose(last, np.concatenate(ends, axis=-1), atol=2e-6)


@pytest.mark.parametrize("cell", CELLS)
def test_padding_changes_nothing(cell: str) -> None:
    ours = built(cell, bidirectional=True)
    outputs, last = ours(tf.constant(inputs()), tf.constant(MASK))
    for row, length in enumerate(LENGTHS):
        alone = tf.constant(inputs()[row : row + 1, :length])
        found, end = ours(alone, tf.ones([1, length], tf.bool))
        np.testing.assert_allclose(outputs[row, :length], found[0], atol=1e-6)
        np.testing.assert_allclose(last[row], end[0], atol=1e-6)


@pytest.mark.parametrize("cell", KERAS)
def test_gradients_equal_those_of_keras(cell: str) -> None:
    ours = built(cell, bidirectional=True)
    (theirs,) = keras_layers(ours, cell)
    weights = tf.constant(np.random.default_rng(5).normal(size=(BATCH, TIME, 2 * UNITS)))
    weights = tf.cast(weights, tf.float32) * tf.cast(MASK[..., np.newaxis], tf.float32)
    with tf.GradientTape(persistent=True) as tape:
        outputs, _ = ours(tf.constant(inputs()), tf.constant(MASK))
        our_loss = tf.reduce_sum(weights * outputs)
        their_loss = tf.reduce_sum(weights * theirs(inputs(), mask=tf.constant(MASK)))
    our_gradients = tape.gradient(our_loss, [v.value for v in ours.trainable_variables])
    their_gradients = tape.gradient(their_loss, [v.value for v in theirs.trainable_variables])
    for one, other in zip(our_gradients, their_gradients, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=2e-5)


def test_an_empty_sequence_has_a_zero_state() -> None:
    ours = built("lstm", bidirectional=True)
    _, last = ours(tf.constant(inputs()), tf.zeros([BATCH, TIME], tf.bool))
    assert not last.numpy().any()


def test_zero_layers_return_the_items_and_their_mean() -> None:
    layer = Recurrent("lstm", 3, layers=0)
    layer.build((None, None, 2))
    inputs = tf.constant(
        [[[1.0, 2.0], [3.0, 6.0], [9.0, 9.0]], [[5.0, 7.0], [0.0, 0.0], [1.0, 1.0]]]
    )
    mask = tf.constant([[True, True, False], [True, False, False]])
    outputs, end = layer(inputs, mask)
    assert layer.depth == 2 and not layer.weights
    np.testing.assert_array_equal(outputs, inputs)
    np.testing.assert_allclose(end, [[2.0, 4.0], [5.0, 7.0]])


def test_a_checkpoint_contains_every_weight(tmp_path: Path) -> None:
    layer = Recurrent("lstm", 3, layers=2, bidirectional=True)
    layer.build((None, None, 4))
    path = tf.train.Checkpoint(layer=layer).save(str(tmp_path / "weights"))
    values = layer.get_weights()
    assert len(values) == 12
    for weight in layer.weights:
        weight.assign(0 * weight)
    tf.train.Checkpoint(layer=layer).restore(path).assert_consumed()
    for before, after in zip(values, layer.get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)
