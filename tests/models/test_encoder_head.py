"""A model of backbone, encoder and head: where inputs enter, and which parts are trained."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from models.encoder_head import EncoderHead, apply_backbone, flatten_grid
from models.encoders.image import ImageEncoder
from models.encoders.text import TextEncoder
from models.encoders.video import VideoEncoder
from models.heads.classifier import Classifier
from models.layers.rnn import Recurrent

SIZE, CELLS, DEPTH = 8, 4, 5
LABELS = tf.constant([0, 1, 1])


@pytest.fixture(scope="module")
def backbone() -> keras.Model:
    keras.utils.set_random_seed(1)
    return keras.Sequential(
        [
            keras.Input((None, None, 3)),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Conv2D(DEPTH, 4, 4),
            keras.layers.BatchNormalization(),
        ]
    )


def model(backbone: Any, top: Any = None) -> EncoderHead:
    encoder = ImageEncoder(6, dropout=0.0)
    encoder.build((None, CELLS, DEPTH))
    return EncoderHead(backbone, encoder, Classifier(2), top)


def images(*shape: int) -> tf.Tensor:
    pixels = np.random.default_rng(0).integers(0, 256, (*shape, SIZE, SIZE, 3))
    return tf.constant(pixels.astype(np.uint8))


def test_grid_cells_are_flattened_row_by_row() -> None:
    grid = np.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5)
    flat = flatten_grid(tf.constant(grid))
    np.testing.assert_array_equal(flat, grid.reshape(2, 12, 5))


def test_pixels_and_their_features_have_the_same_memory(backbone: keras.Model) -> None:
    layer, pixels = model(backbone), images(3)
    features = apply_backbone(backbone, pixels)
    assert features.shape == (3, CELLS, DEPTH)
    np.testing.assert_allclose(layer.encode(pixels).values, layer.encode(features).values)


def test_feature_maps_enter_the_trainable_top() -> None:
    top = keras.Sequential([keras.Input((None, None, 7)), keras.layers.Conv2D(DEPTH, 1)])
    maps = tf.random.stateless_normal([3, 2, 2, 7], [1, 2])
    found = model(None, top)
    found.backbone = top
    expected = found.encoder(flatten_grid(top(maps)))
    np.testing.assert_allclose(found.encode(maps).values, expected.values, atol=1e-6)


def test_frames_of_clips_equal_images_and_padded_frames_are_zero(backbone: keras.Model) -> None:
    frames, mask = images(2, 3), tf.constant([[True, True, False], [True, True, True]])
    found = apply_backbone(backbone, frames, mask).numpy()
    assert found.shape == (2, 3, CELLS, DEPTH)
    for row in range(2):
        single = apply_backbone(backbone, frames[row]).numpy()
        single[~mask[row].numpy()] = 0
        np.testing.assert_allclose(found[row], single, atol=1e-6)


def test_clips_and_texts_reach_their_encoders(backbone: keras.Model) -> None:
    encoder = VideoEncoder(Recurrent("lstm", 3), dropout=0.0)
    encoder.build((None, None, CELLS, DEPTH))
    clips = EncoderHead(backbone, encoder, Classifier(2))
    mask = tf.constant([[True, True, False], [True, False, False]])
    cells = np.repeat(mask, CELLS, axis=1)
    np.testing.assert_array_equal(clips.encode((images(2, 3), mask)).mask, cells)
    words = TextEncoder(9, Recurrent("lstm", 3), embedding=3)
    words.build()
    texts = EncoderHead(None, words, Classifier(2))
    tokens = tf.constant([[1, 4, 2, 0]])
    np.testing.assert_array_equal(texts.encode(tokens).mask, [[True, True, True, False]])


@pytest.mark.parametrize("tuned", [False, True])
def test_the_backbone_has_gradients_only_if_it_is_fine_tuned(
    backbone: keras.Model, tuned: bool
) -> None:
    layer = model(backbone)
    with tf.GradientTape() as tape:
        loss = layer.training_loss(images(3), LABELS, tune_backbone=tuned)
    kernel = backbone.trainable_variables[0]
    own = [*layer.encoder.trainable_variables, *layer.head.trainable_variables]
    gradient, *others = tape.gradient(loss, [kernel, *own])
    assert (gradient is not None) == tuned
    assert all(each is not None for each in others)


def test_statistics_of_batch_norms_change_only_in_fine_tuning(backbone: keras.Model) -> None:
    layer, statistics = model(backbone), backbone.non_trainable_variables[0]
    before = statistics.numpy()
    layer.encode(images(3), training=True)
    layer.encode(images(3), tune_backbone=True)
    np.testing.assert_array_equal(statistics, before)
    layer.encode(images(3), training=True, tune_backbone=True)
    assert np.abs(statistics.numpy() - before).max() > 0


def test_the_optimized_model_has_the_same_outputs(backbone: keras.Model) -> None:
    layer, pixels = model(backbone), images(3)
    fast = layer.optimize_for_inference()
    np.testing.assert_allclose(fast.encode(pixels).summary, layer.encode(pixels).summary, atol=1e-5)
