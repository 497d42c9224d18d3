"""Read and decode an image in TensorFlow ops: the one rule of datasets and exports.

The markers of a JPEG are those of its standard (ITU-T T.81, annex B); the orientation tag is that
of Exif 2.3, in TIFF 6.0's layout.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

_HEAD = 2048  # bytes; a BMP's header with its palette is the longest header read here
# Parts of a file that are skipped one by one; a malicious file can have millions of one byte each.
MAX_PARTS = 4096
MAX_SCANS = 64  # of a JPEG; each can visit all pixels again and takes only 80 bytes
MAX_TEXTS = 16  # compressed ones of a PNG; 8 kB of them take 8 MB
_AHEAD = 64  # full data blocks of a GIF skipped at once

_PNG = b"\x89PNG\r\n\x1a\n"
_SOUGHT = [int.from_bytes(name) for name in (b"tRNS", b"IDAT")]
_GRAPHIC_CONTROL = 0xF9  # a GIF's extension that names its transparent color
_EXIF = b"Exif\0\0"
_APP1, _SCAN = 0xE1, 0xDA  # JPEG markers: of EXIF, of the first scan
_ORIENTATION, _SHORT, _LONG = 0x0112, 3, 4


class Header(NamedTuple):
    """The facts in an image's header.

    Attributes:
        encoded: scalar string, the bytes to decode; of a GIF only the first frame, whose
            transparent color, black to TensorFlow, becomes an opaque white.
        pixels: int64 scalar; 0 for bytes that are not a JPEG, PNG, GIF or BMP, that TensorFlow
            decodes wrongly, or that need far more work or memory than their pixels.
        transparent: bool scalar, whether it is a PNG with an alpha channel or a transparent color.
            Decoded with four channels, another PNG may get an alpha that is not opaque.
        orientation: int32 scalar, EXIF's 1 (upright) to 8, of a JPEG; else 1.
    """

    encoded: tf.Tensor
    pixels: tf.Tensor
    transparent: tf.Tensor | bool = False
    orientation: tf.Tensor | int = 1


def read_header(encoded: tf.Tensor) -> Header:
    """Return the header of an image.

    Args:
        encoded: scalar string, any bytes; an op fails if they only begin like a JPEG.
    """
    readers: dict[bytes, Callable[[tf.Tensor], Header]] = {
        b"\xff\xd8\xff": _jpeg,
        _PNG: _png,
        b"GIF8": _gif,
        b"BM": _bmp,
    }
    fits = [tf.strings.substr(encoded, 0, len(magic)) == magic for magic in readers]
    header: Header = tf.switch_case(
        tf.argmax([*fits, True], output_type=tf.int32),
        [functools.partial(read, encoded) for read in (*readers.values(), _unknown)],
    )
    return header


def orientation(jpeg: tf.Tensor) -> tf.Tensor:
    """Return the EXIF orientation of a JPEG, int32 scalar; 1, upright, without valid EXIF."""
    # Most JPEGs have none, and walking through their segments takes longer than decoding them.
    return tf.cond(_count(jpeg, _EXIF) > 0, lambda: _orientation(to_bytes(jpeg)), lambda: 1)


def to_bytes(encoded: tf.Tensor, limit: int = -1) -> tf.Tensor:
    """Return a scalar string's bytes, at most `limit`, and a 0 for reads past the end."""
    data = tf.io.decode_raw(tf.strings.substr(encoded, 0, limit), tf.uint8)
    return tf.concat([data, [0]], axis=0)


def number(
    data: tf.Tensor, at: tf.Tensor | int, width: int, big: tf.Tensor | bool = True
) -> tf.Tensor:
    """Read unsigned numbers, int64 `[...]`, of `width` bytes each.

    Args:
        data: uint8 `[bytes]` that ends with a 0, which is read for all positions past the end.
        at: int64 `[...]`, where each number begins.
        width: bytes of a number.
        big: whether the most significant byte comes first.
    """
    places = tf.range(width, dtype=tf.int64)
    positions = tf.cast(at, tf.int64)[..., tf.newaxis] + places
    digits = tf.gather(data, tf.minimum(positions, tf.size(data, tf.int64) - 1))
    exponents = tf.where(big, width - 1 - places, places)
    return tf.reduce_sum(tf.cast(digits, tf.int64) * 256**exponents, axis=-1)


def _jpeg(encoded: tf.Tensor) -> Header:
    height, width, _ = tf.unstack(tf.image.extract_jpeg_shape(encoded, tf.int64))
    pixels = tf.where(_count(encoded, b"\xff\xda") <= MAX_SCANS, height * width, 0)
    return Header(encoded, pixels, False, orientation(encoded))


def _orientation(data: tf.Tensor) -> tf.Tensor:
    start = _exif_start(data)
    big = number(data, start, 1) == ord("M")  # "MM"; "II": the least significant byte first
    directory = start + number(data, start + 4, 4, big)
    entries = directory + 2 + 12 * tf.range(number(data, directory, 2, big))
    kind = number(data, entries + 2, 2, big)
    short, long = (number(data, entries + 8, width, big) for width in (2, 4))
    values = tf.where(kind == _SHORT, short, tf.where(kind == _LONG, long, 0))
    found = number(data, entries, 2, big) == _ORIENTATION
    value = tf.reduce_max(tf.where(found, values, 0))
    valid = (number(data, start + 2, 2, big) == 42) & (value >= 1) & (value <= 8)
    return tf.cast(tf.where(valid, value, 1), tf.int32)


def _exif_start(data: tf.Tensor) -> tf.Tensor:
    """Return where EXIF's TIFF header begins; past the end if there is none."""

    def is_exif(at: tf.Tensor) -> tf.Tensor:
        name = number(data, at + 4, 6)
        return (number(data, at + 1, 1) == _APP1) & (name == int.from_bytes(_EXIF))

    def is_other(at: tf.Tensor) -> tf.Tensor:
        segment = (number(data, at, 1) == 0xFF) & (number(data, at + 1, 1) != _SCAN)
        return segment & ~is_exif(at)

    def after(at: tf.Tensor) -> list[tf.Tensor]:
        fill = number(data, at + 1, 1) == 0xFF  # any number of these may precede a marker
        return [tf.where(fill, at + 1, at + 2 + number(data, at + 2, 2))]

    (at,) = tf.while_loop(
        is_other,
        after,
        [tf.constant(2, tf.int64)],
        maximum_iterations=MAX_PARTS,
    )
    return tf.where(is_exif(at), at + 10, tf.size(data, tf.int64))


def _png(encoded: tf.Tensor) -> Header:
    png = to_bytes(encoded)
    width, height = tf.unstack(number(png, [16, 20], 4))
    chunk = _chunk(png)
    found = tf.reduce_any(chunk == _SOUGHT)  # else there are too many others before it
    texts = _count(encoded, b"zTXt") + _count(encoded, b"iTXt")
    pixels = tf.where(found & (texts <= MAX_TEXTS), height * width, 0)
    has_alpha = tf.reduce_any(number(png, 25, 1) == tf.constant([4, 6], tf.int64))
    return Header(encoded, pixels, has_alpha | (chunk == _SOUGHT[0]))


def _count(encoded: tf.Tensor, mark: bytes) -> tf.Tensor:
    """Return how often `mark` occurs in a scalar string, int32."""
    return tf.size(tf.raw_ops.StringSplitV2(input=encoded[tf.newaxis], sep=mark).values) - 1


def _chunk(png: tf.Tensor) -> tf.Tensor:
    """Return the name of a PNG's first tRNS or IDAT chunk; any other value: not found."""
    end = tf.size(png, tf.int64)
    (at,) = tf.while_loop(
        lambda at: (at < end) & ~tf.reduce_any(number(png, at + 4, 4) == _SOUGHT),
        lambda at: [at + 12 + number(png, at, 4)],
        [tf.constant(8, tf.int64)],
        maximum_iterations=MAX_PARTS,
    )
    return number(png, at + 4, 4)


def _bmp(encoded: tf.Tensor) -> Header:
    """Read a BMP's header; a compressed one, or one with a color palette, is not valid.

    TensorFlow decodes 8 bits as gray, and compressed pixels as plain ones.
    """
    head = to_bytes(encoded, _HEAD)
    sides = number(head, [18, 22], 4, big=False)
    width, height = tf.unstack(tf.minimum(sides, (1 << 32) - sides))  # negative: rows from the top
    palette = 14 + number(head, 14, 4, big=False)
    grays = tf.range(256, dtype=tf.int64)
    gray = tf.reduce_all(number(head, palette + 4 * grays, 3) == 0x010101 * grays)
    plain = (number(head, 14, 4, big=False) >= 40) & (number(head, 30, 4, big=False) == 0)
    valid = plain & (gray | (number(head, 28, 2, big=False) != 8))
    return Header(encoded, tf.where(valid, height * width, 0))


def _gif(encoded: tf.Tensor) -> Header:
    """Cut a GIF after its first frame; one that does not fill the screen is not valid.

    All loops share `left`, the number of parts that may still be skipped; at 0 they stop.
    """
    data = to_bytes(encoded)
    none = tf.size(data, tf.int64)  # past the end, where all numbers are 0
    colors = 13 + _palette(data, 10)

    def skip_extension(at: tf.Tensor, control: tf.Tensor, left: tf.Tensor) -> list[tf.Tensor]:
        is_control = number(data, at + 1, 1) == _GRAPHIC_CONTROL
        after, left = _after_blocks(data, at + 2, left - 1)
        return [after, tf.where(is_control, at, control), left]

    frame, control, left = tf.while_loop(
        lambda at, _, left: (number(data, at, 1) == ord("!")) & (left > 0),
        skip_extension,
        [colors, none, tf.constant(MAX_PARTS)],
    )
    place = number(data, frame + tf.constant([1, 3, 5, 7], tf.int64), 2, big=False)
    width, height = place[2], place[3]
    own_colors = _palette(data, frame + 9)
    end, left = _after_blocks(data, frame + 10 + own_colors + 1, left)
    first = tf.strings.substr(encoded, tf.zeros_like(end), end) + ";"
    palette = tf.where(own_colors > 0, frame + 10, 13)
    entry = palette + 3 * number(data, control + 6, 1)
    is_transparent = number(data, control + 3, 1) % 2 == 1
    has_entry = entry < tf.where(own_colors > 0, frame + 10 + own_colors, colors)
    first = tf.cond(
        is_transparent & has_entry,
        lambda: _replace(_replace(first, control + 3, b"\0"), entry, b"\xff\xff\xff"),
        lambda: first,
    )
    screen = tf.concat([[0, 0], number(data, [6, 8], 2, big=False)], axis=0)
    fills = tf.reduce_all(place == screen)
    return Header(first, tf.where(fills & (left > 0), height * width, 0))


def _replace(text: tf.Tensor, at: tf.Tensor, new: bytes) -> tf.Tensor:
    """Overwrite the bytes of a scalar string from `at` on with `new`."""
    rest = tf.strings.substr(text, at + len(new), tf.cast(tf.strings.length(text), tf.int64))
    return tf.strings.substr(text, tf.zeros_like(at), at) + new + rest


def _palette(data: tf.Tensor, at: tf.Tensor | int) -> tf.Tensor:
    """Return the size of a GIF's color table, in bytes, from the flags at `at`."""
    flags = number(data, at, 1)
    return tf.where(flags >= 128, 3 * 2 ** (flags % 8 + 1), 0)


def _after_blocks(data: tf.Tensor, at: tf.Tensor, left: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Return the position after the data blocks at `at`, and how many parts are left.

    A block of length 0 ends them. The blocks of an image are full, 255 bytes, except for the last.
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


def _unknown(encoded: tf.Tensor) -> Header:
    return Header(encoded, tf.constant(0, tf.int64))


def decode_pixels(encoded: tf.Tensor, transparent: tf.Tensor | bool = False) -> tf.Tensor:
    """Decode an image, uint8 `[height, width, 3]`; transparent pixels become white.

    Args:
        encoded: scalar string: JPEG, PNG, GIF (first frame) or BMP.
        transparent: whether it is a PNG with transparent pixels, bool scalar.
    """
    image = tf.cond(
        tf.convert_to_tensor(transparent),
        lambda: _on_white(tf.io.decode_png(encoded, channels=4)),
        lambda: tf.io.decode_image(encoded, channels=3, expand_animations=False),
    )
    image.set_shape([None, None, 3])
    return image


def _on_white(image: tf.Tensor) -> tf.Tensor:
    """Blend an RGBA image, uint8 `[height, width, 4]`, with white; return `[height, width, 3]`."""
    # 16 bits suffice: 255 · 255 + 127. Floats would take twice the memory.
    colors, alpha = tf.cast(image[..., :3], tf.uint16), tf.cast(image[..., 3:], tf.uint16)
    return tf.cast((alpha * colors + (255 - alpha) * 255 + 127) // 255, tf.uint8)


def apply_orientation(image: tf.Tensor, orientation: tf.Tensor | int) -> tf.Tensor:
    """Apply the EXIF orientation, int32 scalar, 1 (upright) to 8, to `[height, width, channels]`.

    It is cheaper after resizing to a square than before, with the same result.
    """
    orientation = tf.convert_to_tensor(orientation)
    for needed, turn in (
        (orientation >= 5, lambda image: tf.transpose(image, [1, 0, 2])),
        (_is_any(orientation, 2, 3, 6, 7), lambda image: image[:, ::-1]),
        (_is_any(orientation, 3, 4, 7, 8), lambda image: image[::-1]),
    ):  # most images need none of it, and applying it takes longer than resizing
        image = tf.cond(needed, functools.partial(turn, image), lambda same=image: same)
    return image


def _is_any(value: tf.Tensor, *values: int) -> tf.Tensor:
    return tf.reduce_any(value == tf.constant(values, value.dtype))
