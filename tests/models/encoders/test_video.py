from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from models.backbones.factory import add_frame_differences, add_pooling, build_backbone
from models.encoder_head import EncoderHead
from models.encoders.video import VideoEncoder
from models.heads.classifier import Classifier
from models.layers.rnn import Recurrent
from models.memory import Memory

KINDS: dict[str, dict[str, Any]] = {
    "one way": {},
    "two ways": {"bidirectional": True},
    "mean": {"layers": 0},
}
every_kind = pytest.mark.parametrize("kind", KINDS)
LENGTHS = [5, 1, 3]
MASK = np.arange(5) < np.array(LENGTHS)[:, None]


def encoder(kind: str, **options: Any) -> VideoEncoder:
    keras.utils.set_random_seed(0)
    layer = VideoEncoder(Recurrent("lstm", 8, **KINDS[kind]), **({"dropout": 0.0} | options))
    layer.build((None, None, 6))
    return layer


def features(*shape: int) -> np.ndarray:
    return np.random.default_rng(1).normal(size=shape).astype(np.float32)


@every_kind
def test_shapes_and_types(kind: str) -> None:
    layer = encoder(kind)
    for frames in (features(3, 5, 6), features(3, 5, 6).astype(np.float16)):
        memory = layer(tf.constant(frames), tf.constant(MASK))
        assert memory.values.shape == (3, 5, layer.depth) and memory.values.dtype == tf.float32
        assert memory.summary.shape == (3, layer.depth) and memory.summary.dtype == tf.float32
        assert np.array_equal(memory.mask, MASK)


@every_kind
def test_padding_changes_nothing(kind: str) -> None:
    layer, frames = encoder(kind), features(3, 5, 6)
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


def test_motion_is_the_difference_from_the_previous_frame() -> None:
    layer, frames = encoder("mean", motion=True), features(1, 5, 6)
    assert layer.project.kernel.shape == (12, 8)
    before = np.concatenate([frames[:, :1], frames[:, :-1]], axis=1)
    both = np.concatenate([frames, frames - before], axis=-1)
    wanted = np.maximum(np.asarray(layer.project(tf.constant(both))), 0)
    memory = layer(tf.constant(frames), tf.ones([1, 5], tf.bool))
    assert np.allclose(memory.values, wanted, atol=1e-6)


def test_items_depend_only_on_allowed_frames() -> None:
    frames = features(1, 5, 6)
    changed = frames.copy()
    changed[0, 2] += 1
    mask = tf.ones([1, 5], tf.bool)
    differs = {}
    for kind in KINDS:
        layer = encoder(kind)
        one, two = (np.asarray(layer(tf.constant(x), mask).values)[0] for x in (frames, changed))
        differs[kind] = [bool(step) for step in np.abs(one - two).max(1) > 1e-7]
    assert differs == {
        "one way": [False, False, True, True, True],
        "two ways": [True] * 5,
        "mean": [False, False, True, False, False],
    }


def test_order_matters_except_for_the_mean() -> None:
    frames, mask = features(1, 5, 6), tf.ones([1, 5], tf.bool)
    for kind in KINDS:
        layer = encoder(kind)
        one = layer(tf.constant(frames), mask).summary
        two = layer(tf.constant(frames[:, ::-1].copy()), mask).summary
        assert np.allclose(one, two, atol=1e-6) == (kind == "mean")


def test_the_summary_is_the_final_state_of_each_direction() -> None:
    memory = encoder("two ways")(tf.constant(features(3, 5, 6)), tf.constant(MASK))
    for row, length in enumerate(LENGTHS):
        assert np.allclose(memory.summary[row, :8], memory.values[row, length - 1, :8])
        assert np.allclose(memory.summary[row, 8:], memory.values[row, 0, 8:])


@every_kind
def test_a_graph_with_unknown_length_equals_eager_execution(kind: str) -> None:
    layer = encoder(kind)

    @tf.function(
        input_signature=[
            tf.TensorSpec([None, None, 6]),
            tf.TensorSpec([None, None], tf.bool),
        ]
    )
    def traced(frames: tf.Tensor, mask: tf.Tensor) -> Memory:
        return layer(frames, mask)

    for length in (5, 2):
        frames, mask = tf.constant(features(3, length, 6)), tf.ones([3, length], tf.bool)
        eager = layer(frames, mask)
        assert np.allclose(eager.values, traced(frames, mask).values, atol=1e-6)
        assert np.allclose(eager.summary, traced(frames, mask).summary, atol=1e-6)


@every_kind
def test_every_weight_has_a_gradient(kind: str) -> None:
    layer = encoder(kind)
    with tf.GradientTape() as tape:
        memory = layer(tf.constant(features(3, 5, 6)), tf.constant(MASK), training=True)
        loss = tf.reduce_sum(memory.summary**2)
    gradients = tape.gradient(loss, layer.trainable_variables)
    assert gradients and all(np.abs(gradient).max() > 0 for gradient in gradients)


def test_with_frame_differences_a_mean_of_frames_learns_the_direction() -> None:
    right = np.zeros([1, 5, 32, 32, 3], np.uint8)
    for step in range(5):
        right[0, step, 12:20, 5 * step : 5 * step + 8] = 255
    clips = np.concatenate([right, right[:, ::-1]])  # the same frames
    before = np.concatenate([clips[:, :1], clips[:, :-1]], axis=1)
    pairs, mask = np.concatenate([clips, before], axis=-1), tf.ones([2, 5], tf.bool)

    def model(backbone: Any) -> EncoderHead:
        encoder = VideoEncoder(Recurrent("lstm", 16, layers=0), dropout=0.0)
        encoder.build((None, None, backbone.output_shape[-1]))
        return EncoderHead(backbone, encoder, Classifier(2))

    keras.utils.set_random_seed(0)
    backbone = add_pooling(build_backbone("small-cnn", image_size=32))
    summary = model(backbone).encode((tf.constant(clips), mask)).summary
    np.testing.assert_allclose(summary[0], summary[1], atol=1e-5)
    learner, adam = model(add_frame_differences(backbone)), keras.optimizers.Adam(3e-3)
    for _ in range(20):
        with tf.GradientTape() as tape:
            inputs, labels = (tf.constant(pairs), mask), tf.constant([0, 1])
            loss = learner.training_loss(inputs, labels, tune_backbone=True)
        weights = learner.trainable_variables
        adam.apply(tape.gradient(loss, weights), weights)
    assert float(loss) < 0.1


def on_cells(count: int = 4) -> VideoEncoder:
    keras.utils.set_random_seed(0)
    layer = VideoEncoder(Recurrent("lstm", 8, bidirectional=True), dropout=0.0)
    layer.build((None, None, count, 6))
    return layer


def test_each_cell_of_each_frame_is_an_item() -> None:
    layer, frames = on_cells(), features(3, 5, 4, 6)
    memory = layer(tf.constant(frames), tf.constant(MASK))
    kernel, bias = (np.asarray(weight) for weight in layer.project.weights)
    cells = np.maximum(frames @ kernel + bias + np.asarray(layer.place), 0)
    kernel, bias = (np.asarray(weight) for weight in layer.whole.weights)
    whole = np.maximum(cells.reshape(3, 5, 32) @ kernel + bias, 0)
    states, summary = layer.recurrent(tf.constant(whole), tf.constant(MASK))
    kernel, bias = (np.asarray(weight) for weight in layer.item.weights)
    items = cells @ kernel + bias + np.asarray(states)[:, :, np.newaxis]
    items = np.where(MASK[..., np.newaxis, np.newaxis], items, 0).reshape(3, 20, -1)
    np.testing.assert_allclose(memory.values, items, atol=1e-5)
    np.testing.assert_allclose(memory.summary, summary, atol=1e-6)
    assert np.array_equal(memory.mask, np.repeat(MASK, 4, axis=1))


def test_cells_of_padded_frames_change_nothing() -> None:
    layer, frames = on_cells(), features(3, 5, 4, 6)
    memory = layer(tf.constant(frames), tf.constant(MASK))
    other = np.where(MASK[..., np.newaxis, np.newaxis], frames, 1e3).astype(np.float32)
    padded = layer(tf.constant(other), tf.constant(MASK))
    assert np.array_equal(memory.values, padded.values)
    assert np.array_equal(memory.summary, padded.summary)


@pytest.mark.parametrize("cells", [None, 4])
def test_norm_removes_the_constant_part_of_a_clip(cells: int | None) -> None:
    layer = VideoEncoder(Recurrent("lstm", 8, layers=0), dropout=0.0, norm=True)
    shape = (None, None, 6) if cells is None else (None, None, cells, 6)
    layer.build(shape)
    plain = VideoEncoder(Recurrent("lstm", 8, layers=0), dropout=0.0)
    plain.build(shape)
    plain.set_weights(layer.get_weights())
    frames = features(3, 5, *shape[2:])
    normed = np.zeros_like(frames)
    for row, length in enumerate(LENGTHS):
        real = frames[row, :length] - frames[row, :length].mean(0)
        normed[row, :length] = real / max(real.std(), 1e-3)  # a clip of one frame becomes zero
    mask = tf.constant(MASK)
    wanted = plain(tf.constant(normed), mask)
    offset = 10 * features(*frames.shape)[:, :1]  # the same in all frames
    for shifted in (frames, 2 * frames + offset):
        memory = layer(tf.constant(shifted), mask)
        assert np.allclose(memory.values, wanted.values, atol=1e-4)
        assert np.allclose(memory.summary, wanted.summary, atol=1e-4)


def test_time_embeddings_distinguish_equal_frames() -> None:
    frames = tf.constant(np.repeat(features(1, 1, 6), 5, axis=1))
    mask = tf.constant([[True] * 4 + [False]])
    values = np.asarray(encoder("mean", times=True)(frames, mask).values)[0]
    shifted = values - np.asarray(encoder("mean")(frames, mask).values)[0]
    angle = np.arange(4)[:, None] / 10000 ** (np.arange(4) / 4)
    waves = np.concatenate([np.sin(angle), np.cos(angle)], axis=1)
    assert np.allclose(shifted[:4], waves, atol=1e-6)
    assert not values[4].any()
