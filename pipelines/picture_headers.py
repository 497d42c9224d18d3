"""What a picture's first bytes announce, read with stock TensorFlow ops before any decoding."""

from __future__ import annotations

import functools
from collections.abc import Callable

import tensorflow as tf

_HEAD = 2048  # bytes; a BMP's header with its palette is the longest read here

Announced = tuple[tf.Tensor, tf.Tensor]


def announced(encoded: tf.Tensor) -> Announced:
    """Return the bytes to decode and the number of pixels that they announce.

    Of a GIF only the first frame is left: TensorFlow would decode all the others as well.

    Args:
        encoded: scalar string, any bytes. An op fails if they begin as a JPEG but are none.

    Returns:
        encoded: scalar string.
        pixels: int64 scalar; 0 for what is no JPEG, PNG, GIF or BMP, or for none that TensorFlow
            decodes rightly.
    """
    readers: dict[bytes, Callable[[tf.Tensor], Announced]] = {
        b"\xff\xd8\xff": _jpeg,
        b"\x89PNG\r\n\x1a\n": _png,
        b"GIF8": _gif,
        b"BM": _bmp,
    }
    fits = [tf.strings.substr(encoded, 0, len(magic)) == magic for magic in readers]
    return tf.switch_case(
        tf.argmax([*fits, True], output_type=tf.int32),
        [functools.partial(read, encoded) for read in (*readers.values(), _unknown)],
    )


def to_bytes(encoded: tf.Tensor, limit: int = -1) -> tf.Tensor:
    """Return a scalar string's bytes, at most `limit`, and a 0 for what is read past the end."""
    data = tf.io.decode_raw(tf.strings.substr(encoded, 0, limit), tf.uint8)
    return tf.concat([data, [0]], axis=0)


def number(
    data: tf.Tensor, at: tf.Tensor | int, width: int, big: tf.Tensor | bool = True
) -> tf.Tensor:
    """Read unsigned numbers.

    Args:
        data: uint8 `[bytes]` that ends with a 0, which stands for all that lies past the end.
        at: int64 `[...]`, where each number begins.
        width: of a number, in bytes.
        big: whether the most significant byte comes first.

    Returns:
        int64 `[...]`.
    """
    places = tf.range(width, dtype=tf.int64)
    positions = tf.cast(at, tf.int64)[..., tf.newaxis] + places
    digits = tf.gather(data, tf.minimum(positions, tf.size(data, tf.int64) - 1))
    exponents = tf.where(big, width - 1 - places, places)
    return tf.reduce_sum(tf.cast(digits, tf.int64) * 256**exponents, axis=-1)


def _jpeg(encoded: tf.Tensor) -> Announced:
    height, width, _ = tf.unstack(tf.image.extract_jpeg_shape(encoded, tf.int64))
    return encoded, height * width


def _png(encoded: tf.Tensor) -> Announced:
    width, height = tf.unstack(number(to_bytes(encoded, _HEAD), [16, 20], 4))
    return encoded, height * width


def _bmp(encoded: tf.Tensor) -> Announced:
    """Read a BMP's header; TensorFlow takes 8-bit ones for grey, so a palette of colours is no."""
    head = to_bytes(encoded, _HEAD)
    sides = number(head, [18, 22], 4, big=False)
    width, height = tf.unstack(tf.minimum(sides, (1 << 32) - sides))  # rows from the top: negative
    palette = 14 + number(head, 14, 4, big=False)
    greys = tf.range(256, dtype=tf.int64)
    grey = tf.reduce_all(number(head, palette + 4 * greys, 3) == 0x010101 * greys)
    sound = grey | (number(head, 28, 2, big=False) != 8)
    return encoded, tf.where(sound, height * width, 0)


def _gif(encoded: tf.Tensor) -> Announced:
    """Cut a GIF after its first frame, whose own size counts, not that of the screen."""
    data = to_bytes(encoded)
    colours = 13 + _palette(data, 10)
    (frame,) = tf.while_loop(
        lambda at: number(data, at, 1) == ord("!"),
        lambda at: [_after_blocks(data, at + 2)],
        [colours],
    )
    width, height = tf.unstack(number(data, tf.stack([frame + 5, frame + 7]), 2, big=False))
    end = _after_blocks(data, frame + 10 + _palette(data, frame + 9) + 1)
    return tf.strings.substr(encoded, tf.zeros_like(end), end) + ";", height * width


def _palette(data: tf.Tensor, at: tf.Tensor | int) -> tf.Tensor:
    """Return the size of a GIF's colour table, in bytes, from the flags at `at`."""
    flags = number(data, at, 1)
    return tf.where(flags >= 128, 3 * 2 ** (flags % 8 + 1), 0)


def _after_blocks(data: tf.Tensor, at: tf.Tensor) -> tf.Tensor:
    """Return where a GIF goes on after the data blocks at `at`; one of length 0 ends them."""
    (end,) = tf.while_loop(
        lambda at: number(data, at, 1) > 0, lambda at: [at + number(data, at, 1) + 1], [at]
    )
    return end + 1


def _unknown(encoded: tf.Tensor) -> Announced:
    return encoded, tf.constant(0, tf.int64)
