"""Crop and resize images in TensorFlow ops, for training and exports."""

from __future__ import annotations

import tensorflow as tf

from pipelines.config.crop import Box


def resize(images: tf.Tensor, size: int, box: Box | None = None) -> tf.Tensor:
    """Crop and resize one image or a batch.

    Args:
        images: uint8 `[height, width, 3]` or `[batch, height, width, 3]`.
        size: pixels per side of the output.
        box: crop; None: the whole image.

    Returns:
        uint8 `[size, size, 3]` or `[batch, size, size, 3]`.
    """
    if box is not None:
        height, width = tf.unstack(tf.cast(tf.shape(images)[-3:-1], tf.float32))
        top, bottom = (tf.cast(tf.round(share * height), tf.int32) for share in box[:2])
        left, right = (tf.cast(tf.round(share * width), tf.int32) for share in box[2:])
        # At least one pixel, also of a tiny image.
        images = images[..., top : tf.maximum(bottom, top + 1), :, :]
        images = images[..., left : tf.maximum(right, left + 1), :]
    fits = tf.reduce_all(tf.shape(images)[-3:-1] == size)  # resizing would change nothing, slowly
    resized = tf.cond(fits, lambda: images, lambda: _resize_to(images, size))
    return tf.ensure_shape(resized, [*images.shape[:-3], size, size, 3])


def read_pixels(images: tf.Tensor, size: int, box: Box | None = None) -> tf.Tensor:
    """Resize RGB images.

    Args:
        images: of any integer or float type, 0..255, `[batch, height, width, 3]`.
        size: pixels per side of the output.
        box: crop; None: the whole image.

    Returns:
        uint8 `[batch, size, size, 3]`.

    Raises:
        ValueError: for another shape.
        tf.errors.InvalidArgumentError: if values are not in 0..255, or if all are in 0..1.
    """
    if images.shape.rank != 4 or images.shape[-1] != 3:
        raise ValueError(
            "images must be [batch, height, width, 3], RGB in 0..255, or encoded images, string "
            f"[batch]; got {images.dtype.name} {list(images.shape)}"
        )
    if images.dtype.is_floating:
        low, high = tf.reduce_min(images), tf.reduce_max(images)
        hint = "images must be in 0..255, RGB: undo a rescaling, for example multiply by 255"
        scaled = (high > 0) & (high <= 1)
        checks = [
            tf.debugging.Assert((low >= 0) & (high <= 255) & ~scaled, [hint, "got", low, high])
        ]
        with tf.control_dependencies(checks):
            images = tf.round(images)
    return resize(tf.cast(images, tf.uint8), size, box)


def _resize_to(images: tf.Tensor, size: int) -> tf.Tensor:
    images = tf.image.resize(images, [size, size], antialias=True)
    return tf.cast(tf.round(images), tf.uint8)  # weighted means stay within 0..255
