"""Small backbones: a fixed cosine transform, and convolutions trained from scratch."""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np

FREQUENCIES = 6  # lowest frequencies of `dct` in each direction
_LUMA = (0.299, 0.587, 0.114)  # weights of red, green and blue in the gray image (ITU-R BT.601)
_LAYERS = ((5, 16, 2), (3, 48, 2), (3, 96, 2), (3, 96, 1), (3, 128, 2))


def dct(size: int) -> keras.Model:
    """Build the discrete cosine transform of a gray image: 6 × 6 frequencies, one cell.

    The lowest frequencies describe a smooth, small object such as lips with few, nearly independent
    numbers (Ahmed, Natarajan & Rao 1974), a common input of lip reading (Potamianos et al. 2003).

    Args:
        size: height and width in pixels.

    Returns:
        A model from float32 `[batch, size, size, 3]`, RGB in 0..255, to `[batch, 1, 1, 36]`.
    """
    positions = np.pi * (np.arange(size) + 0.5) / size
    waves = np.cos(np.arange(FREQUENCIES)[:, np.newaxis] * positions) * np.sqrt(2 / size)
    waves[0] /= np.sqrt(2)
    kernel = np.einsum("vy,ux,c->yxcvu", waves, waves, _LUMA).reshape(-1, FREQUENCIES**2)
    images = keras.Input((size, size, 3), name="images")
    x = keras.layers.Flatten()(keras.layers.Rescaling(1 / 127.5, offset=-1)(images))
    transform = keras.layers.Dense(
        FREQUENCIES**2, use_bias=False, kernel_initializer="zeros", trainable=False, name="dct"
    )
    model = keras.Model(
        images, keras.layers.Reshape((1, 1, FREQUENCIES**2))(transform(x)), name="dct"
    )
    transform.set_weights([kernel])
    return model


def small_cnn(size: int) -> keras.Model:
    """Build five convolutions, four of them with stride 2, with trainable batch norms.

    With batch norms (Ioffe & Szegedy 2015) it learns shapes and colors sooner than with norms over
    one image (Wu & He 2018), which remove differences between channels.

    Args:
        size: height and width in pixels.

    Returns:
        A model from float32 `[batch, size, size, 3]`, RGB in 0..255, to
        `[batch, side, side, 128]`, the side being a 16th of the size, rounded up.
    """
    images = keras.Input((size, size, 3), name="images")
    x = keras.layers.Rescaling(1 / 127.5, offset=-1)(images)
    for kernel, filters, stride in _LAYERS:
        y = keras.layers.Conv2D(filters, kernel, stride, padding="same", use_bias=False)(x)
        y = keras.layers.ReLU()(keras.layers.BatchNormalization(momentum=0.95)(y))
        x = keras.layers.Add()([x, y]) if x.shape == y.shape else y
    return keras.Model(images, x, name="small_cnn")


# By name, as in `models.backbones.names.SMALL`: height and width in pixels → the backbone.
BUILDERS: dict[str, Callable[[int], keras.Model]] = {"dct": dct, "small-cnn": small_cnn}
