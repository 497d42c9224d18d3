"""Batch norms folded into convolutions: the same outputs with fewer operations."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from models.backbones import batch_norm_folding
from models.backbones.batch_norm_folding import fold_batch_norms, freeze_for_inference
from models.backbones.factory import build_backbone

NORM = keras.layers.BatchNormalization


def norms(model: Any) -> int:
    return sum(
        norms(layer) if isinstance(layer, keras.Model) else isinstance(layer, NORM)
        for layer in model.layers
    )


def livened(model: Any) -> Any:
    """Set all weights to values as after training: means other than 0, variances other than 1."""
    rng = np.random.default_rng(0)
    for weight in model.weights:
        if "kernel" not in weight.path:
            weight.assign(rng.uniform(0.5, 1.5, weight.shape))
    return model


@pytest.mark.parametrize("name", ["small-cnn", "efficientnet-lite0", "MobileNetV2"])
def test_a_folded_backbone_has_the_same_outputs(name: str) -> None:
    model = livened(build_backbone(name, weights="random", image_size=64))
    pixels = np.random.default_rng(1).uniform(0, 255, (2, 64, 64, 3)).astype(np.float32)
    before, count = model(pixels, training=False), len(model.weights)
    folded = fold_batch_norms(model)
    assert norms(model) > norms(folded) == 0
    assert folded.output_shape == model.output_shape
    scale = np.abs(before).max()
    np.testing.assert_allclose(folded(pixels) / scale, before / scale, atol=1e-5)
    np.testing.assert_array_equal(model(pixels, training=False), before)  # unchanged
    assert len(model.weights) == count > len(folded.weights)


def test_other_batch_norms_are_not_folded() -> None:
    x = keras.Input((8, 8, 3))
    shared = keras.layers.Conv2D(4, 3)(x)  # its output is also used elsewhere
    active = NORM()(keras.layers.Conv2D(4, 3, activation="relu")(x))
    biased = NORM(scale=False, center=False)(keras.layers.Conv2D(4, 3)(x))
    deep = NORM()(keras.layers.DepthwiseConv2D(3, depth_multiplier=2)(biased))
    y = [shared, NORM()(shared), active, biased, deep, NORM()(keras.layers.ReLU()(biased))]
    model = livened(keras.Model(x, y))
    pixels = np.random.default_rng(1).normal(size=(2, 8, 8, 3)).astype(np.float32)
    folded = fold_batch_norms(model)
    assert norms(model) - norms(folded) == 2
    for got, wanted in zip(folded(pixels), model(pixels, training=False), strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-4)


def test_models_of_other_kinds_are_accepted() -> None:
    plain = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(4, 3), NORM()])
    wrapped = livened(keras.Model(plain.inputs[0], plain(plain.inputs[0])))
    pixels = np.ones((1, 8, 8, 3), np.float32)
    for model in (plain, wrapped):
        np.testing.assert_allclose(
            fold_batch_norms(model)(pixels), model(pixels), rtol=1e-4, atol=1e-5
        )
        assert norms(fold_batch_norms(model)) == 0


def test_a_frozen_model_has_its_current_weights_as_constants(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = livened(build_backbone("small-cnn", weights="random", image_size=32))
    pixels = np.random.default_rng(1).uniform(0, 255, (2, 32, 32, 3)).astype(np.float32)
    before, answer = model(pixels, training=False).numpy(), freeze_for_inference(model)
    graph = tf.function(answer).get_concrete_function(tf.TensorSpec([None, 32, 32, 3])).graph
    assert not graph.variables
    monkeypatch.setattr(batch_norm_folding, "MAX_CONSTANTS", 1000)
    many = freeze_for_inference(model)
    assert many.weights  # type: ignore[attr-defined]
    np.testing.assert_allclose(many(pixels), before, rtol=1e-4, atol=1e-4)
    for weight in model.weights:
        weight.assign(weight * 2)
    np.testing.assert_allclose(answer(pixels), before, rtol=1e-4, atol=1e-4)
