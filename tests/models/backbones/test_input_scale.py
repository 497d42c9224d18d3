"""A saved backbone without the scaling of its training is found."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest

from models.backbones.factory import build_backbone
from models.backbones.input_scale import check_input_scale


def backbone(seen: float) -> keras.Model:
    """Return a model whose batch norm has seen pixels in 0..`seen`."""
    convolution, norm = keras.layers.Conv2D(4, 3), keras.layers.BatchNormalization(momentum=0.0)
    model = keras.Sequential([keras.Input((16, 16, 3)), convolution, norm])
    images = np.random.default_rng(0).uniform(0, seen, (64, 2, 2, 3)).repeat(8, 1).repeat(8, 2)
    model(images.astype(np.float32), training=True)
    return model


def scaled(model: keras.Model) -> keras.Model:
    images = keras.Input((16, 16, 3))
    return keras.Model(images, model(keras.layers.Rescaling(1 / 255)(images)))


def test_a_model_without_its_scaling_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "own.keras"
    backbone(1.0).save(path)
    with pytest.raises(ValueError, match=r"own\.keras: pixels in 0..255 .*Rescaling"):
        build_backbone(str(path))
    scaled(backbone(1.0)).save(path)
    build_backbone(str(path))


def test_a_model_with_a_second_scaling_is_refused() -> None:
    check_input_scale(backbone(255.0))
    with pytest.raises(ValueError, match="times that of its training"):
        check_input_scale(scaled(backbone(255.0)))


def test_untrained_models_and_models_without_norms_are_not_checked() -> None:
    images = keras.Input((16, 16, 3))
    check_input_scale(keras.Model(images, keras.layers.Conv2D(4, 3)(images)))
    check_input_scale(
        keras.Model(images, keras.layers.BatchNormalization()(keras.layers.Conv2D(4, 3)(images)))
    )
