"""Which way up a JPEG is: its EXIF orientation, read and applied with stock TensorFlow ops.

Phones store pictures as the sensor saw them and note how to turn them. The marker segments are
those of the JPEG standard (ITU-T T.81, annex B); the tag is that of Exif 2.3, in TIFF 6.0's layout.
"""

from __future__ import annotations

import functools

import tensorflow as tf

from pipelines.preprocessing.image_headers import MAX_PARTS, number, to_bytes

_HEAD = 1 << 17  # bytes; EXIF comes first, in a segment of at most 64 KB
_EXIF = b"Exif\0\0"
_APP1, _SCAN = 0xE1, 0xDA  # markers: where EXIF stands, where the picture itself begins
_ORIENTATION, _SHORT = 0x0112, 3


def orientation(jpeg: tf.Tensor) -> tf.Tensor:
    """Return how a picture is to be turned.

    Args:
        jpeg: scalar string; any bytes, nothing is assumed of them.

    Returns:
        int32 scalar, 1..8; 1, upright, where there is no sound EXIF.
    """
    named = tf.size(tf.strings.split(tf.strings.substr(jpeg, 0, _HEAD), _EXIF)) > 1
    # Most have none, and looking through their segments takes longer than decoding them.
    return tf.cond(named, lambda: _orientation(to_bytes(jpeg, _HEAD)), lambda: 1)


def _orientation(data: tf.Tensor) -> tf.Tensor:
    start = _exif_start(data)
    big = number(data, start, 1) == ord("M")  # "MM", else "II": the least significant byte first
    directory = start + number(data, start + 4, 4, big)
    entries = directory + 2 + 12 * tf.range(number(data, directory, 2, big))
    found = (number(data, entries, 2, big) == _ORIENTATION) & (
        number(data, entries + 2, 2, big) == _SHORT
    )
    value = tf.reduce_max(tf.where(found, number(data, entries + 8, 2, big), 0))
    sound = (number(data, start + 2, 2, big) == 42) & (value >= 1) & (value <= 8)
    return tf.cast(tf.where(sound, value, 1), tf.int32)


def upright(picture: tf.Tensor, turn: tf.Tensor) -> tf.Tensor:
    """Turn a square picture `[side, side, channels]` whose orientation is `turn`.

    Turning after the whole picture has been squashed into a square is cheaper than before, and
    the same.
    """
    for asked, way in (
        (turn >= 5, lambda image: tf.transpose(image, [1, 0, 2])),
        (_among(turn, 2, 3, 6, 7), lambda image: image[:, ::-1]),
        (_among(turn, 3, 4, 7, 8), lambda image: image[::-1]),
    ):  # most need none of it, which takes longer than the resizing
        picture = tf.cond(asked, functools.partial(way, picture), lambda kept=picture: kept)
    return picture


def _exif_start(data: tf.Tensor) -> tf.Tensor:
    """Return where EXIF's TIFF header begins; past the end where there is none."""

    def is_exif(at: tf.Tensor) -> tf.Tensor:
        name = number(data, at + 4, 6)
        return (number(data, at + 1, 1) == _APP1) & (name == int.from_bytes(_EXIF))

    def is_other(at: tf.Tensor) -> tf.Tensor:
        segment = (number(data, at, 1) == 0xFF) & (number(data, at + 1, 1) != _SCAN)
        return segment & ~is_exif(at)

    (at,) = tf.while_loop(
        is_other,
        lambda at: [at + 2 + number(data, at + 2, 2)],
        [tf.constant(2, tf.int64)],
        maximum_iterations=MAX_PARTS,
    )
    return tf.where(is_exif(at), at + 10, tf.size(data, tf.int64))


def _among(value: tf.Tensor, *known: int) -> tf.Tensor:
    return tf.reduce_any(value == tf.constant(known, value.dtype))
