"""Preprocess images from untrusted bytes in TensorFlow ops, as part of an export.

An invalid file (empty, HTML, truncated, too large) must not fail the other rows of its batch. No
memory is allocated for an image before its header is checked.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import keras
import tensorflow as tf

from data.media.image_headers import apply_orientation, decode_pixels, read_header
from data.media.limits import MAX_PIXELS
from models.memory import Tensors
from pipelines.config.crop import Box
from pipelines.preprocessing.resize import read_pixels, resize


@keras.saving.register_keras_serializable("wordreel")
@dataclasses.dataclass(frozen=True)
class ImagePreprocessing:
    """The input of an export whose model takes an image."""

    size: int  # pixels per side that the backbone takes
    grid: tuple[int, int]  # rows and columns of its feature map

    signature = tf.TensorSpec([None], tf.string, "image_bytes")

    def read_in_graph(self, image_bytes: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Return the model's input and which rows are valid, see `decode_or_flag`."""
        return decode_or_flag(image_bytes, self.size)

    def read(self, images: tf.Tensor) -> tf.Tensor:
        """Return the model's input for encoded images or pixels, see `read_pixels`.

        Raises:
            tf.errors.InvalidArgumentError: for an image that cannot be decoded.
        """
        if images.dtype != tf.string:
            return read_pixels(images, self.size)
        pixels, valid = self.read_in_graph(images)
        return check_valid(pixels, valid, "is no complete JPEG, PNG, GIF or BMP")

    def description(self) -> dict[str, object]:
        """Return the `input` entry of an export's wordreel.json."""
        return {"image_size": self.size, "grid": list(self.grid)}

    def get_config(self) -> dict[str, object]:
        """Return the arguments of the constructor."""
        return {"size": self.size, "grid": list(self.grid)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> ImagePreprocessing:
        """Return the preprocessing of `get_config`."""
        return cls(config["size"], tuple(config["grid"]))


def check_valid(inputs: Tensors, valid: tf.Tensor, reason: str) -> Tensors:
    """Return the inputs of a batch; an op fails if a row is not valid, bool `[batch]`."""
    first = tf.argmin(tf.cast(valid, tf.int32))
    failed = tf.debugging.Assert(tf.reduce_all(valid), ["row", first, "of a batch", reason])
    with tf.control_dependencies([failed]):
        return tf.nest.map_structure(tf.identity, inputs)


def decode_or_flag(
    image_bytes: tf.Tensor,
    size: int,
    max_pixels: int = MAX_PIXELS,
    *,
    box: Box | None = None,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Decode a batch of images in parallel; flag those that are not valid.

    Valid are complete JPEG, PNG, GIF (the first frame) and BMP files, except for a few rare forms:
    see `data.media.image_headers`. They are decoded and resized as in training.

    Args:
        image_bytes: string `[batch]`, any bytes.
        size: pixels per side of the output, whatever the aspect ratio.
        max_pixels: an image whose header gives more is flagged and never decoded.
        box: crop; None: the whole image.

    Returns:
        Images, uint8 `[batch, size, size, 3]`, zeros where not valid; and which are, bool
        `[batch]`.
    """
    batch = tf.size(image_bytes, tf.int64)
    images = (
        tf.data.Dataset.from_tensor_slices((tf.range(batch), image_bytes))
        .map(
            lambda row, encoded: (row, decode_image(encoded, size, box, max_pixels)),
            num_parallel_calls=tf.data.AUTOTUNE,
            deterministic=False,  # each image carries its row
        )
        .ignore_errors()
    )
    # One extra row, so that there is an element even if no image is valid.
    spare = tf.data.Dataset.from_tensors((batch, tf.zeros([size, size, 3], tf.uint8)))
    rows, images = images.concatenate(spare).batch(batch + 1).get_single_element()
    last = tf.size(rows) - 1  # the place of the extra row, used for all missing rows
    places = tf.tensor_scatter_nd_update(
        tf.fill([batch + 1], last), rows[:, tf.newaxis], tf.range(last + 1)
    )[:batch]
    images = tf.gather(images, places)
    return tf.ensure_shape(images, [None, size, size, 3]), places < last


def decode_image(
    encoded: tf.Tensor, size: int, box: Box | None = None, max_pixels: int = MAX_PIXELS
) -> tf.Tensor:
    """Decode and resize one image; an op fails if it is not valid.

    Datasets have images that `data.media.images` has resized if they are larger than its
    `MAX_SIDE`; an export receives the original ones. Resized to 224 or 300 pixels, the two differed
    by 0.3 to 1.1 gray levels per pixel on average, 99 % of the values by at most 4 (synthetic
    images with edges and noise, 1024 × 768 to 2400 × 1600 pixels).

    Args:
        encoded: scalar string: JPEG, PNG, GIF (first frame) or BMP; EXIF of JPEGs is applied.
        size: pixels per side of the output, whatever the aspect ratio.
        box: crop; None: the whole image.
        max_pixels: an image whose header gives more is never decoded.

    Returns:
        uint8 `[size, size, 3]`, upright, on white.
    """
    header = read_header(tf.convert_to_tensor(encoded))
    fits = (header.pixels > 0) & (header.pixels <= max_pixels)
    allowed = tf.where(fits, header.encoded, "")  # the decoder refuses empty strings
    pixels = decode_pixels(allowed, header.transparent)
    return apply_orientation(resize(pixels, size, box), header.orientation)
