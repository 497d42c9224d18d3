"""The small backbones: shapes, and the cosine transform."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from models.backbones.factory import (
    build_backbone,
)


def test_small_cnn_returns_a_grid_at_any_size() -> None:
    assert build_backbone("small-cnn").output_shape == (None, 4, 4, 128)
    assert build_backbone("Small_CNN", image_size=96).output_shape == (None, 6, 6, 128)


def test_dct_equals_that_of_the_gray_image() -> None:
    images = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3)).astype(np.float32)
    grid = build_backbone("dct")(images).numpy()
    gray = cv2.cvtColor((images / 127.5 - 1).reshape(64, 32, 3), cv2.COLOR_RGB2GRAY)
    wanted = [cv2.dct(each)[:6, :6].ravel() for each in gray.reshape(2, 32, 32)]
    np.testing.assert_allclose(grid.reshape(2, 36), wanted, atol=2e-4)
    assert not build_backbone("dct").trainable_weights
    with pytest.raises(ValueError, match="dct has no weights: omit them"):
        build_backbone("dct", weights="imagenet")
