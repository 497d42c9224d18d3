"""Pictures from bytes that nobody has checked, with stock TensorFlow ops: what an export runs.

A server is sent empty files, HTML, half a JPEG, a gigapixel. None of it may fail the other rows
of a batch, or be given memory before its header has been read.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tensorflow as tf

from pipelines.config.crop import Box
from pipelines.preprocessing.exif import orientation, upright
from pipelines.preprocessing.image_headers import announced
from pipelines.preprocessing.resize import decode_picture

MAX_PIXELS = 50_000_000  # 150 MB once decoded; the cameras of 2024 stay below


class PictureBytes:
    """What an export takes where the input is a picture.

    Attributes:
        size: pixels a side that the backbone takes.
        grid: rows and columns of its features.
    """

    signature = tf.TensorSpec([None], tf.string, "image_bytes")

    def __init__(self, size: int, grid: tuple[int, int]) -> None:
        """Say what the backbone takes and gives."""
        self.size, self.grid = size, grid

    def read_in_graph(self, image_bytes: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Turn an export's input into the model's; say which rows are usable."""
        return decode_or_flag(image_bytes, self.size)

    def write_assets(self, folder: Path) -> list[Path]:
        """Return what an export carries of the source beside its graph: nothing."""
        del folder
        return []

    def description(self) -> dict[str, Any]:
        """Return what an export's wordreel.json says of the input."""
        return {"image_size": self.size, "grid": list(self.grid)}


def decode_or_flag(
    image_bytes: tf.Tensor,
    size: int,
    max_pixels: int = MAX_PIXELS,
    *,
    box: Box | None = None,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Decode a batch of pictures in parallel; flag what is no usable picture.

    Usable are whole JPEG, PNG, GIF (the first frame) and BMP files, formats and sizes mixed.
    They are decoded and resized as in training, JPEGs turned as their EXIF says.

    Args:
        image_bytes: string `[batch]`, any bytes.
        size: pixels a side of what is returned; the whole picture is kept, squashed.
        max_pixels: a picture whose header announces more is flagged, and never decoded.
        box: the part of each that counts; None for all of it.

    Returns:
        pictures: uint8 `[batch, size, size, 3]`; zeros where there is none.
        valid: bool `[batch]`.
    """
    batch = tf.size(image_bytes, tf.int64)
    pictures = (
        tf.data.Dataset.from_tensor_slices((tf.range(batch), image_bytes))
        .map(
            lambda row, encoded: (row, _decode(encoded, size, max_pixels, box)),
            num_parallel_calls=tf.data.AUTOTUNE,
            deterministic=False,  # each picture carries its row
        )
        .ignore_errors()
    )
    # One row more, so that there is something to return if no picture is usable.
    spare = tf.data.Dataset.from_tensors((batch, tf.zeros([size, size, 3], tf.uint8)))
    rows, pictures = pictures.concatenate(spare).batch(batch + 1).get_single_element()
    last = tf.size(rows) - 1  # where the spare one is, which stands for all that are missing
    places = tf.tensor_scatter_nd_update(
        tf.fill([batch + 1], last), rows[:, tf.newaxis], tf.range(last + 1)
    )[:batch]
    pictures = tf.gather(pictures, places)
    return tf.ensure_shape(pictures, [None, size, size, 3]), places < last


def _decode(encoded: tf.Tensor, size: int, max_pixels: int, box: Box | None) -> tf.Tensor:
    """Return one upright picture, uint8 `[size, size, 3]`; an op fails if there is none."""
    whole, pixels = announced(encoded)
    fits = (pixels > 0) & (pixels <= max_pixels)
    picture = decode_picture(
        tf.where(fits, whole, ""), size, box
    )  # the decoder refuses empty strings
    return upright(picture, orientation(encoded))
