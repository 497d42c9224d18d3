"""What a picture's first bytes announce, read with stock TensorFlow ops before any decoding."""

from __future__ import annotations

import functools
from collections.abc import Callable

import tensorflow as tf

_HEAD = 2048  # bytes; a BMP's header with its palette is the longest read here
# Parts of a file that are passed one after the other; a hostile file can have millions of a byte.
MAX_PARTS = 4096
MAX_SCANS = 64  # of a JPEG; 80 bytes can be one that goes over all pixels once more
MAX_TEXTS = 16  # compressed ones of a PNG; 8 kB of them take 8 MB
_AHEAD = 64  # full data blocks of a GIF passed at once

_PNG = b"\x89PNG\r\n\x1a\n"
_SOUGHT = [int.from_bytes(name) for name in (b"tRNS", b"IDAT")]
_GRAPHIC_CONTROL = 0xF9  # a GIF's extension that names its transparent colour

Announced = tuple[tf.Tensor, tf.Tensor]


def announced(encoded: tf.Tensor) -> Announced:
    """Return the bytes to decode and the number of pixels that they announce.

    Of a GIF only the first frame is left: TensorFlow would decode all the others as well. Its
    transparent colour, black to TensorFlow, is made an opaque white.

    Args:
        encoded: scalar string, any bytes. An op fails if they begin as a JPEG but are none.

    Returns:
        encoded: scalar string.
        pixels: int64 scalar; 0 for what is no JPEG, PNG, GIF or BMP, or for none that TensorFlow
            decodes rightly, or only with far more work or memory than its pixels take.
    """
    readers: dict[bytes, Callable[[tf.Tensor], Announced]] = {
        b"\xff\xd8\xff": _jpeg,
        _PNG: _png,
        b"GIF8": _gif,
        b"BM": _bmp,
    }
    fits = [tf.strings.substr(encoded, 0, len(magic)) == magic for magic in readers]
    return tf.switch_case(
        tf.argmax([*fits, True], output_type=tf.int32),
        [functools.partial(read, encoded) for read in (*readers.values(), _unknown)],
    )


def is_transparent(encoded: tf.Tensor) -> tf.Tensor:
    """Return whether a picture is a PNG with an alpha channel or a transparent colour.

    Asked of any other PNG for four channels, TensorFlow can make up an alpha that is not opaque;
    asked for them of any other format, it fails.

    Args:
        encoded: scalar string, any bytes.

    Returns:
        bool scalar.
    """
    return tf.cond(
        tf.strings.substr(encoded, 0, len(_PNG)) == _PNG,
        lambda: _has_alpha(to_bytes(encoded)),
        lambda: False,
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
    return encoded, tf.where(_count(encoded, b"\xff\xda") <= MAX_SCANS, height * width, 0)


def _png(encoded: tf.Tensor) -> Announced:
    png = to_bytes(encoded)
    width, height = tf.unstack(number(png, [16, 20], 4))
    found = tf.reduce_any(_chunk(png) == _SOUGHT)  # else there are too many others before it
    texts = _count(encoded, b"zTXt") + _count(encoded, b"iTXt")
    return encoded, tf.where(found & (texts <= MAX_TEXTS), height * width, 0)


def _count(encoded: tf.Tensor, mark: bytes) -> tf.Tensor:
    """Return how often a mark stands in a scalar string, int32."""
    return tf.size(tf.raw_ops.StringSplitV2(input=encoded[tf.newaxis], sep=mark).values) - 1


def _chunk(png: tf.Tensor) -> tf.Tensor:
    """Return the name of a PNG's first chunk that is tRNS or IDAT; 0 or another: not found."""
    end = tf.size(png, tf.int64)
    (at,) = tf.while_loop(
        lambda at: (at < end) & ~tf.reduce_any(number(png, at + 4, 4) == _SOUGHT),
        lambda at: [at + 12 + number(png, at, 4)],
        [tf.constant(8, tf.int64)],
        maximum_iterations=MAX_PARTS,
    )
    return number(png, at + 4, 4)


def _has_alpha(png: tf.Tensor) -> tf.Tensor:
    """Look at a PNG's type of colour, and for a chunk tRNS before the pixels."""
    with_alpha = tf.reduce_any(number(png, 25, 1) == tf.constant([4, 6], tf.int64))
    return with_alpha | (_chunk(png) == _SOUGHT[0])


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
    """Cut a GIF after its first frame, whose own size counts, not that of the screen.

    All loops share `left`, the parts that may still be passed; at 0 they stop wherever they are.
    """
    data = to_bytes(encoded)
    none = tf.size(data, tf.int64)  # past the end, where all numbers are 0
    colours = 13 + _palette(data, 10)

    def pass_extension(at: tf.Tensor, control: tf.Tensor, left: tf.Tensor) -> list[tf.Tensor]:
        is_control = number(data, at + 1, 1) == _GRAPHIC_CONTROL
        after, left = _after_blocks(data, at + 2, left - 1)
        return [after, tf.where(is_control, at, control), left]

    frame, control, left = tf.while_loop(
        lambda at, _, left: (number(data, at, 1) == ord("!")) & (left > 0),
        pass_extension,
        [colours, none, tf.constant(MAX_PARTS)],
    )
    width, height = tf.unstack(number(data, tf.stack([frame + 5, frame + 7]), 2, big=False))
    own_colours = _palette(data, frame + 9)
    end, left = _after_blocks(data, frame + 10 + own_colours + 1, left)
    first = tf.strings.substr(encoded, tf.zeros_like(end), end) + ";"
    palette = tf.where(own_colours > 0, frame + 10, 13)
    entry = palette + 3 * number(data, control + 6, 1)
    is_transparent = number(data, control + 3, 1) % 2 == 1
    has_entry = entry < tf.where(own_colours > 0, frame + 10 + own_colours, colours)
    return tf.cond(
        is_transparent & has_entry,
        lambda: _replace(_replace(first, control + 3, b"\0"), entry, b"\xff\xff\xff"),
        lambda: first,
    ), tf.where(left > 0, height * width, 0)


def _replace(text: tf.Tensor, at: tf.Tensor, new: bytes) -> tf.Tensor:
    """Put `new` in the place of as many bytes of a scalar string, from `at` on."""
    rest = tf.strings.substr(text, at + len(new), tf.cast(tf.strings.length(text), tf.int64))
    return tf.strings.substr(text, tf.zeros_like(at), at) + new + rest


def _palette(data: tf.Tensor, at: tf.Tensor | int) -> tf.Tensor:
    """Return the size of a GIF's colour table, in bytes, from the flags at `at`."""
    flags = number(data, at, 1)
    return tf.where(flags >= 128, 3 * 2 ** (flags % 8 + 1), 0)


def _after_blocks(data: tf.Tensor, at: tf.Tensor, left: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Return where a GIF goes on after the data blocks at `at`, and how many parts are left.

    A block of length 0 ends them. The blocks of a picture are full, 255 bytes, but for the last.
    """
    following = 256 * tf.range(_AHEAD, dtype=tf.int64)

    def advance(at: tf.Tensor, left: tf.Tensor) -> list[tf.Tensor]:
        full = tf.cast(number(data, at + following, 1) == 255, tf.int64)
        at += 256 * tf.reduce_sum(tf.math.cumprod(full))
        length = number(data, at, 1)
        return [at + tf.where(length > 0, length + 1, 0), left - 1]

    end, left = tf.while_loop(
        lambda at, left: (number(data, at, 1) > 0) & (left > 0), advance, [at, left]
    )
    return end + 1, left


def _unknown(encoded: tf.Tensor) -> Announced:
    return encoded, tf.constant(0, tf.int64)
