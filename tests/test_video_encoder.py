from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from models.memory import Memory
from models.video_encoder import RECURRENCES, VideoEncoder

every_recurrence = pytest.mark.parametrize("recurrence", RECURRENCES)
LENGTHS = [5, 1, 3]
MASK = np.arange(5) < np.array(LENGTHS)[:, None]


def encoder(recurrence: str) -> VideoEncoder:
    keras.utils.set_random_seed(0)
    layer = VideoEncoder(8, recurrence, dropout=0.0)
    layer.build(6)
    return layer


def features(*shape: int) -> np.ndarray:
    return np.random.default_rng(1).normal(size=shape).astype(np.float32)


@every_recurrence
def test_shapes_and_types(recurrence: str) -> None:
    layer = encoder(recurrence)
    for frames in (features(3, 5, 6), features(3, 5, 4, 6).astype(np.float16)):
        memory = layer(tf.constant(frames), tf.constant(MASK))
        assert memory.values.shape == (3, 5, 8) and memory.values.dtype == tf.float32
        assert memory.summary.shape == (3, 8) and memory.summary.dtype == tf.float32
        assert np.array_equal(memory.mask, MASK)


@every_recurrence
def test_padding_changes_nothing(recurrence: str) -> None:
    layer, frames = encoder(recurrence), features(3, 5, 6)
    memory = layer(tf.constant(frames), tf.constant(MASK))
    other = np.where(MASK[..., None], frames, 1e3).astype(np.float32)
    padded = layer(tf.constant(other), tf.constant(MASK))
    assert np.array_equal(memory.values, padded.values)
    assert np.array_equal(memory.summary, padded.summary)
    assert not np.asarray(memory.values)[~MASK].any()
    for row, length in enumerate(LENGTHS):
        alone = layer(
            tf.constant(frames[row : row + 1, :length]), tf.constant(MASK[row : row + 1, :length])
        )
        assert np.allclose(memory.values[row, :length], alone.values[0], atol=1e-6)
        assert np.allclose(memory.summary[row], alone.summary[0], atol=1e-6)


@every_recurrence
def test_cells_are_averaged(recurrence: str) -> None:
    layer, cells = encoder(recurrence), features(3, 5, 4, 6)
    grid = layer(tf.constant(cells), tf.constant(MASK))
    mean = layer(tf.constant(cells.mean(2)), tf.constant(MASK))
    assert np.allclose(grid.values, mean.values, atol=1e-6)


def test_what_depends_on_what() -> None:
    frames = features(1, 5, 6)
    changed = frames.copy()
    changed[0, 2] += 1
    mask = tf.ones([1, 5], tf.bool)
    differs = {}
    for recurrence in RECURRENCES:
        layer = encoder(recurrence)
        one, two = (np.asarray(layer(tf.constant(x), mask).values)[0] for x in (frames, changed))
        differs[recurrence] = [bool(step) for step in np.abs(one - two).max(1) > 1e-7]
    assert differs == {
        "lstm": [False, False, True, True, True],
        "bidirectional": [True] * 5,
        "mean": [False, False, True, False, False],
    }


def test_order_counts_except_for_the_mean() -> None:
    frames, mask = features(1, 5, 6), tf.ones([1, 5], tf.bool)
    for recurrence in RECURRENCES:
        layer = encoder(recurrence)
        one = layer(tf.constant(frames), mask).summary
        two = layer(tf.constant(frames[:, ::-1].copy()), mask).summary
        assert np.allclose(one, two, atol=1e-6) == (recurrence == "mean")


def test_the_summary_is_where_each_way_ends() -> None:
    memory = encoder("bidirectional")(tf.constant(features(3, 5, 6)), tf.constant(MASK))
    for row, length in enumerate(LENGTHS):
        assert np.allclose(memory.summary[row, :4], memory.values[row, length - 1, :4])
        assert np.allclose(memory.summary[row, 4:], memory.values[row, 0, 4:])


def test_the_lstm_is_the_equations() -> None:
    layer, frames = encoder("lstm"), features(2, 5, 6)
    memory = layer(tf.constant(frames), tf.ones([2, 5], tf.bool))
    weights = {weight.path.split("/", 1)[-1]: weight.numpy() for weight in layer.weights}
    (w_x,) = (
        value for name, value in weights.items() if name.endswith("/kernel") and "forw" in name
    )
    (w_h,) = (value for name, value in weights.items() if name.endswith("recurrent_kernel"))
    (b,) = (value for name, value in weights.items() if name.endswith("/bias") and "forw" in name)
    v = np.maximum(np.asarray(layer.project(tf.constant(frames))), 0)
    h = c = np.zeros((2, 8))
    for t in range(5):
        i, f, g, o = np.split(v[:, t] @ w_x + h @ w_h + b, 4, axis=1)  # Keras's order
        c = _sigmoid(f) * c + _sigmoid(i) * np.tanh(g)
        h = _sigmoid(o) * np.tanh(c)
        assert np.allclose(memory.values[:, t], h, atol=1e-5)
    assert np.allclose(memory.summary, h, atol=1e-5)


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


@every_recurrence
def test_in_a_graph_with_any_length_and_through_its_config(recurrence: str) -> None:
    layer = encoder(recurrence)
    again = VideoEncoder.from_config(layer.get_config())
    again.build(6)
    again.set_weights(layer.get_weights())

    @tf.function(
        input_signature=[
            tf.TensorSpec([None, None, 6]),
            tf.TensorSpec([None, None], tf.bool),
        ]
    )
    def traced(frames: tf.Tensor, mask: tf.Tensor) -> Memory:
        return again(frames, mask)

    for length in (5, 2):
        frames, mask = tf.constant(features(3, length, 6)), tf.ones([3, length], tf.bool)
        eager = layer(frames, mask)
        assert np.allclose(eager.values, traced(frames, mask).values, atol=1e-6)
        assert np.allclose(eager.summary, traced(frames, mask).summary, atol=1e-6)


@every_recurrence
def test_every_weight_learns(recurrence: str) -> None:
    layer = encoder(recurrence)
    with tf.GradientTape() as tape:
        memory = layer(tf.constant(features(3, 5, 6)), tf.constant(MASK), training=True)
        loss = tf.reduce_sum(memory.summary**2)
    gradients = tape.gradient(loss, layer.trainable_variables)
    assert gradients and all(np.abs(gradient).max() > 0 for gradient in gradients)


def test_wrong_choices_are_named() -> None:
    with pytest.raises(ValueError, match="one of lstm, bidirectional, mean, not 'gru'"):
        VideoEncoder(8, "gru")
    with pytest.raises(ValueError, match="an even number, not 7"):
        VideoEncoder(7, "bidirectional")
