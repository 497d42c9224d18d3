"""Whether a saved backbone scales pixels as it did in training."""

from __future__ import annotations

import keras
import numpy as np

FACTOR = 100.0  # of the variance: more cannot come from other images


def check_input_scale(model: keras.Model) -> None:
    """Compare activations of images in 0..255 with the statistics that training has left.

    The first batch norm knows the variance of its inputs in training (Ioffe & Szegedy 2015). If the
    weights were trained on pixels in 0..1 or -1..1 and the model does not scale them itself, the
    variance of images in 0..255 is thousands of times larger. Models without batch norms, or with
    untrained ones, are not checked.

    Args:
        model: from `[batch, height, width, 3]`, a functional or sequential model.

    Raises:
        ValueError: if the scale is wrong.
    """
    size = [side or 64 for side in model.input_shape[1:3]]
    found = _first_norm(model, _images(*size))
    if found is None:
        return
    norm, inputs = found
    expected = norm.moving_variance.numpy()
    if np.all(expected == 1):  # untrained
        return
    ratio = float(np.median(inputs.var(axis=(0, 1, 2)) / np.maximum(expected, 1e-9)))
    if not 1 / FACTOR < ratio < FACTOR:
        raise ValueError(
            f"pixels in 0..255 give its layer {norm.name} a variance {ratio:.2g} times that of its "
            "training: save the model with the scaling of pixels that it was trained with, for "
            "example keras.layers.Rescaling(1 / 127.5, offset=-1) as the first layer"
        )


def _images(height: int, width: int) -> np.ndarray:
    """Return smooth random images in 0..255, float32 `[4, height, width, 3]`."""
    coarse = np.random.default_rng(0).uniform(0, 255, (4, 8, 8, 3)).astype(np.float32)
    resize = keras.layers.Resizing(height, width, interpolation="bilinear")
    return np.asarray(resize(coarse))


def _first_norm(
    model: keras.Model, images: np.ndarray
) -> tuple[keras.layers.BatchNormalization, np.ndarray] | None:
    """Return the first batch norm of a model and its inputs for some images, if it has one."""
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            return layer, np.asarray(keras.Model(model.inputs[0], layer.input)(images))
        if isinstance(layer, keras.Model):
            (given,) = layer._inbound_nodes[-1].input_tensors  # in this model, not its own
            return _first_norm(layer, np.asarray(keras.Model(model.inputs[0], given)(images)))
    return None
