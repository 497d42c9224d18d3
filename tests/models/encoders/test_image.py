"""The image encoder against its equation."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from models.encoders.image import ImageEncoder

BATCH, CELLS, FEATURES, DEPTH = 2, 4, 5, 3


def encoder(**options: float) -> ImageEncoder:
    layer = ImageEncoder(DEPTH, **{"dropout": 0.0} | options)
    layer.build((None, CELLS, FEATURES))
    return layer


def grid() -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.normal(size=(BATCH, CELLS, FEATURES)).astype(np.float32)


def test_equals_its_equation() -> None:
    layer, cells = encoder(spread=0.5), grid()
    place, kernel, bias = (weight.numpy() for weight in layer.trainable_variables)
    assert place.shape == (CELLS, DEPTH) and kernel.shape == (FEATURES, DEPTH)
    memory = layer(tf.constant(cells))
    expected = np.maximum(cells @ kernel + bias + place, 0)
    np.testing.assert_allclose(memory.values, expected, atol=1e-5)
    np.testing.assert_allclose(memory.summary, expected.mean(axis=1), atol=1e-5)
    assert memory.mask.shape == (BATCH, CELLS) and memory.mask.numpy().all()


def test_position_embeddings_distinguish_equal_cells() -> None:
    equal = np.repeat(grid()[:, :1], CELLS, axis=1)
    values = encoder(spread=0.5)(tf.constant(equal)).values.numpy()
    assert np.ptp(values[0], axis=0).max() > 0.1
    values = encoder(spread=0.0)(tf.constant(equal)).values.numpy()
    np.testing.assert_allclose(values, np.repeat(values[:, :1], CELLS, axis=1), atol=1e-5)


@pytest.mark.parametrize("spread", [0.1, 0.5])
def test_spread_is_the_deviation_of_the_initial_position_embeddings(spread: float) -> None:
    layer = ImageEncoder(64, spread=spread)
    layer.build((None, 100, 2))
    assert layer.place.numpy().std() == pytest.approx(spread, rel=0.05)


def test_half_precision_features_are_accepted() -> None:
    layer, cells = encoder(), grid()
    half = layer(tf.constant(cells, tf.float16))
    assert half.values.dtype == tf.float32
    np.testing.assert_allclose(half.values, layer(tf.constant(cells)).values, atol=1e-2)


def test_dropout_only_in_training() -> None:
    layer, cells = encoder(dropout=0.5), tf.constant(grid())
    np.testing.assert_array_equal(layer(cells).values, layer(cells).values)
    trained = layer(cells, training=True).values.numpy()
    kept = trained != 0
    np.testing.assert_allclose(trained[kept], 2 * layer(cells).values.numpy()[kept], rtol=1e-5)
    assert kept.sum() < np.count_nonzero(layer(cells).values)
