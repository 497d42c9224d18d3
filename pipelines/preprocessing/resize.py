"""Decode, resize and rotate images in TensorFlow ops, for training and exports."""

from __future__ import annotations

import functools

import tensorflow as tf

from pipelines.config.crop import Box


def decode_image(
    encoded: tf.Tensor, size: int, box: Box | None = None, transparent: tf.Tensor | bool = False
) -> tf.Tensor:
    """Decode and resize one image; transparent pixels become white.

    Training reads images that `data.media.images` re-encoded if they were larger than its
    `MAX_SIDE`; an export reads the original ones. Resized to 224 or 300 pixels, the two differed by
    0.3 to 1.1 gray levels per pixel on average, 99 % of the values by at most 4 (synthetic images
    with edges and noise, 1024 × 768 to 2400 × 1600 pixels).

    Args:
        encoded: scalar string: JPEG, PNG, GIF (first frame) or BMP.
        size: pixels per side of the output, whatever the aspect ratio.
        box: crop; None: the whole image.
        transparent: whether it is a PNG with transparent pixels, bool scalar; datasets have none.

    Returns:
        uint8 `[size, size, 3]`.
    """
    image = tf.cond(
        tf.convert_to_tensor(transparent),
        lambda: _on_white(tf.io.decode_png(encoded, channels=4)),
        lambda: tf.io.decode_image(encoded, channels=3, expand_animations=False),
    )
    image.set_shape([None, None, 3])
    return resize(image, size, box)


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


def apply_orientation(image: tf.Tensor, orientation: tf.Tensor) -> tf.Tensor:
    """Apply the EXIF orientation, int32 scalar, 1 (upright) to 8, to `[size, size, channels]`.

    It is cheaper after resizing than before, with the same result.
    """
    for needed, turn in (
        (orientation >= 5, lambda image: tf.transpose(image, [1, 0, 2])),
        (_is_any(orientation, 2, 3, 6, 7), lambda image: image[:, ::-1]),
        (_is_any(orientation, 3, 4, 7, 8), lambda image: image[::-1]),
    ):  # most images need none of it, and applying it takes longer than resizing
        image = tf.cond(needed, functools.partial(turn, image), lambda same=image: same)
    return image


def _is_any(value: tf.Tensor, *values: int) -> tf.Tensor:
    return tf.reduce_any(value == tf.constant(values, value.dtype))


def _resize_to(images: tf.Tensor, size: int) -> tf.Tensor:
    images = tf.image.resize(images, [size, size], antialias=True)
    return tf.cast(tf.round(images), tf.uint8)  # weighted means stay within 0..255


def _on_white(image: tf.Tensor) -> tf.Tensor:
    """Blend an RGBA image, uint8 `[height, width, 4]`, with white; return `[height, width, 3]`."""
    # 16 bits suffice: 255 · 255 + 127. Floats would take twice the memory.
    colors, alpha = tf.cast(image[..., :3], tf.uint16), tf.cast(image[..., 3:], tf.uint16)
    return tf.cast((alpha * colors + (255 - alpha) * 255 + 127) // 255, tf.uint8)
