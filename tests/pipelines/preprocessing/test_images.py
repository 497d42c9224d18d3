"""Untrusted bytes: valid images are read as in training, others affect no other row."""

from __future__ import annotations

import io
import resource
import struct
import zlib
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from data.media.image_headers import (
    MAX_PARTS,
    MAX_SCANS,
    MAX_TEXTS,
    apply_orientation,
    orientation,
)
from data.media.images import _to_rgb
from pipelines.preprocessing.images import decode_image, decode_or_flag
from tests.support.tiny.captioner import encode, png_chunk, smooth_image

SIZE, FEW = 24, 400
FORMATS = ("JPEG", "PNG", "GIF", "BMP")
BATCH = [tf.TensorSpec([None], tf.string)]

decode = tf.function(
    lambda encoded: decode_or_flag(encoded, SIZE), input_signature=BATCH, autograph=False
)
decode_few = tf.function(
    lambda encoded: decode_or_flag(encoded, SIZE, FEW), input_signature=BATCH, autograph=False
)
read_orientation = tf.function(
    orientation, input_signature=[tf.TensorSpec([], tf.string)], autograph=False
)


def flags(encoded: list[bytes]) -> list[bool]:
    valid: list[bool] = decode(tf.constant(encoded, tf.string))[1].numpy().tolist()
    return valid


def squashed(image: Image.Image) -> np.ndarray:
    """Return an image as training sees it."""
    return decode_image(tf.constant(encode(image.convert("RGB"), "PNG")), SIZE).numpy()


def turned_jpeg(turn: int, order: str = "<", before: bytes = b"") -> bytes:
    """A JPEG with an EXIF orientation, and other segments before it."""
    directory = struct.pack(order + "HHHIIHHIHHI", 2, 256, 4, 1, 60, 274, 3, 1, turn, 0, 0)
    header = {"<": b"II", ">": b"MM"}[order] + struct.pack(order + "HI", 42, 8)
    plain = encode(smooth_image(3), quality=95)
    return plain[:2] + before + segment(0xE1, b"Exif\0\0" + header + directory) + plain[2:]


def segment(marker: int, content: bytes) -> bytes:
    return bytes([0xFF, marker]) + struct.pack(">H", len(content) + 2) + content


def test_a_batch_of_mixed_formats_and_sizes_is_read_as_in_training() -> None:
    encoded = [
        encode(smooth_image(seed, 30 + 7 * seed, 50 - 3 * seed), FORMATS[seed % 4])
        for seed in range(9)
    ]
    images, valid = decode(tf.constant(encoded))
    assert valid.numpy().all()
    assert images.dtype == tf.uint8
    for found, each in zip(images.numpy(), encoded, strict=True):
        np.testing.assert_array_equal(found, decode_image(tf.constant(each), SIZE))


def test_an_invalid_row_is_flagged_and_does_not_affect_others() -> None:
    good = encode(smooth_image(0))
    bad = [b"", b"<html>404</html>", np.random.default_rng(0).bytes(5000), good[: len(good) // 2]]
    bad += [
        b"\xff\xd8\xff",
        b"\x89PNG\r\n\x1a\n",
        b"GIF89a",
        b"BM",
        encode(smooth_image(0), "WEBP"),
    ]
    images, valid = decode(tf.constant([good, *bad, good]))
    assert valid.numpy().tolist() == [True] + [False] * len(bad) + [True]
    np.testing.assert_array_equal(images[0], images[-1])
    assert not images[1:-1].numpy().any()
    assert flags(bad) == [False] * len(bad)
    assert decode(tf.constant([], tf.string))[0].shape == (0, SIZE, SIZE, 3)


def test_a_header_of_very_many_parts_is_flagged() -> None:
    gif, png = encode(smooth_image(0), "GIF"), encode(smooth_image(0), "PNG")
    palette_end = 13 + 3 * 2 ** (gif[10] % 8 + 1)

    def commented(count: int) -> list[bytes]:
        chunk = struct.pack(">I4sI", 0, b"teSt", zlib.crc32(b"teSt"))
        blocks = b"!\xfe" + b"\x01x" * count + b"\0"
        comments = b"!\xfe\x01x\0" * count
        return [png[:33] + chunk * count + png[33:]] + [
            gif[:palette_end] + comment + gif[palette_end:] for comment in (blocks, comments)
        ]

    assert flags(commented(1000)) == [True] * 3
    assert flags(commented(MAX_PARTS)) == [False] * 3


def test_a_gif_of_many_blocks_is_read() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (1200, 1000), dtype=np.uint8)
    encoded = encode(Image.fromarray(noise), "GIF")
    assert len(encoded) > 256 * MAX_PARTS
    assert flags([encoded, encoded[:-2000]]) == [True, False]


@pytest.mark.parametrize("form", FORMATS)
def test_a_truncated_file_is_flagged(form: str) -> None:
    whole = encode(smooth_image(1), form)
    cuts = np.random.default_rng(1).integers(1, len(whole) - 2, 40)
    assert not any(flags([whole[:cut] for cut in cuts]))


def test_a_progressive_jpeg_is_decoded_and_flagged_if_truncated() -> None:
    whole = encode(smooth_image(1), progressive=True)
    assert flags([whole, whole[: len(whole) * 9 // 10]]) == [True, False]


@pytest.mark.parametrize("form", FORMATS)
def test_an_image_whose_header_is_too_large_is_flagged(form: str) -> None:
    sizes = [(20, 20), (401, 1), (1, 400), (21, 20)]
    images = [encode(smooth_image(0, *size), form) for size in sizes]
    assert decode_few(tf.constant(images))[1].numpy().tolist() == [True, False, True, False]


def test_the_size_of_a_gif_is_that_of_its_first_frame() -> None:
    gif = encode(smooth_image(0, 30, 30), "GIF")
    lying = gif[:6] + struct.pack("<HH", 1, 1) + gif[10:]
    assert decode_few(tf.constant([lying]))[1].numpy().tolist() == [False]


def test_a_gigapixel_image_is_refused_before_memory_is_allocated() -> None:
    side = 30_000
    packer = zlib.compressobj(1)
    row = bytes(1 + side // 8)
    data = b"".join(packer.compress(row) for _ in range(side)) + packer.flush()
    chunks = ((b"IHDR", struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)), (b"IDAT", data))
    png = b"\x89PNG\r\n\x1a\n"
    for name, content in (*chunks, (b"IEND", b"")):
        png += png_chunk(name, content)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert flags([png, encode(smooth_image(0))]) == [False, True]
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300_000  # KB


def test_a_jpeg_of_very_many_scans_is_flagged() -> None:
    """A scan that changes no block takes 12 bytes, whatever the number of blocks."""
    whole = encode(smooth_image(0), progressive=True)
    scan = segment(0xDA, b"\1\1\0\1\x3f\0")
    scans = whole.count(b"\xff\xda")
    assert 1 < scans < MAX_SCANS
    few, many = (whole[:-2] + (most - scans) * scan + whole[-2:] for most in (1, MAX_SCANS + 1))
    assert flags([few, many]) == [True, False]


def test_a_png_that_unpacks_into_gigabytes_of_text_is_flagged() -> None:
    whole = encode(smooth_image(0), "PNG")
    header, rest = whole[:33], whole[33:]
    text = png_chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(7_900_000), 9))
    assert flags([header + MAX_TEXTS * text + rest]) == [True]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert flags([header + 200 * text + rest, rest[:-12] + 200 * text]) == [False, False]
    assert flags([whole[:-12] + 200 * text + whole[-12:]]) == [False]  # behind the pixels
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300_000  # KB


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_jpegs_of_other_color_modes(mode: str) -> None:
    encoded = encode(smooth_image(2, mode=mode))
    images, valid = decode(tf.constant([encoded]))
    assert valid.numpy().all()
    expected = squashed(Image.open(io.BytesIO(encoded)))
    assert np.abs(images[0].numpy().astype(int) - expected).max() <= 6


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA"])
def test_pngs_of_other_modes(mode: str) -> None:
    image = smooth_image(2).quantize(16) if mode == "P" else smooth_image(2, mode=mode)
    images, valid = decode(tf.constant([encode(image, "PNG")]))
    assert valid.numpy().all()
    np.testing.assert_array_equal(images[0], squashed(image))


def transparent_pictures() -> dict[str, bytes]:
    """Images of 60 × 40 pixels with every kind of transparency."""
    image = smooth_image(4, mode="RGBA")
    image.putalpha(Image.linear_gradient("L").resize(image.size))
    opaque_rgb, gray, few = (
        image.convert("RGB"),
        smooth_image(4, mode="L"),
        smooth_image(4).quantize(16),
    )
    shades = bytes(range(0, 256, 16))
    frames = [smooth_image(seed).quantize(64) for seed in (4, 5)]
    animation: dict[str, Any] = {"save_all": True, "append_images": frames[1:], "disposal": 2}
    return {
        "RGBA": encode(image, "PNG"),
        "gray and alpha": encode(image.convert("LA"), "PNG"),
        "a palette with a shade each": encode(few, "PNG", transparency=shades),
        "one color of a palette": encode(few, "PNG", transparency=3),
        "one color": encode(opaque_rgb, "PNG", transparency=opaque_rgb.getpixel((9, 9))),
        "one gray": encode(gray, "PNG", transparency=gray.getpixel((9, 9))),
        "GIF": encode(few, "GIF", transparency=3),
        "animated GIF": encode(frames[0], "GIF", transparency=5, comment=b"x" * 700, **animation),
    }


@pytest.mark.parametrize("kind", transparent_pictures())
def test_transparent_pixels_are_white_as_in_training(kind: str) -> None:
    encoded = transparent_pictures()[kind]
    with Image.open(io.BytesIO(encoded)) as image:
        assert image.has_transparency_data
        image.load()
        seen_in_training = squashed(_to_rgb(image))
    opaque = encode(smooth_image(0, 33, 21), "BMP")
    found, valid = decode(tf.constant([encoded, b"no picture", encoded[:99], opaque]))
    assert valid.numpy().tolist() == [True, False, False, True]
    assert np.abs(found[0].numpy().astype(int) - seen_in_training).max() <= 1
    np.testing.assert_array_equal(found[3], squashed(smooth_image(0, 33, 21)))


def test_a_gif_with_a_transparent_color_beyond_its_palette_is_opaque() -> None:
    gif = encode(smooth_image(4).quantize(16), "GIF", transparency=3)
    control = gif.index(b"!\xf9")
    odd = gif[: control + 6] + b"\xfe" + gif[control + 7 :]
    images, valid = decode(tf.constant([odd]))
    assert valid.numpy().all()
    np.testing.assert_array_equal(images[0], squashed(smooth_image(4).quantize(16)))


def test_sixteen_bits_are_scaled_to_eight() -> None:
    gray = smooth_image(2, mode="L")
    deep = Image.fromarray(np.asarray(gray).astype(np.uint16) * 257)
    images, _ = decode(tf.constant([encode(deep, "PNG")]))
    assert np.abs(images[0].numpy().astype(int) - squashed(gray)).max() <= 1


def test_the_first_frame_of_an_animation_is_used() -> None:
    frames = [smooth_image(seed).quantize(64) for seed in range(5)]
    gif = encode(frames[0], "GIF", save_all=True, append_images=frames[1:], comment=b"x" * 700)
    images, valid = decode(tf.constant([gif, gif[: len(gif) * 4 // 5]]))
    assert valid.numpy().all()  # the first frame is whole in both
    for found in images:
        np.testing.assert_array_equal(found, squashed(frames[0]))


def test_a_bmp_with_a_color_palette_is_flagged() -> None:
    gray, colored = smooth_image(2, mode="L"), smooth_image(2).quantize(16)
    assert flags([encode(gray, "BMP"), encode(colored, "BMP")]) == [True, False]


@pytest.mark.parametrize("turn", range(1, 9))
@pytest.mark.parametrize("order", "<>")
def test_jpegs_are_turned_as_by_pillow(turn: int, order: str) -> None:
    before = segment(0xE2, bytes(60_000)) + segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0")
    encoded = turned_jpeg(turn, order, before)
    images, valid = decode(tf.constant([encoded]))
    assert valid.numpy().all()
    expected = squashed(ImageOps.exif_transpose(Image.open(io.BytesIO(encoded))))
    difference = np.abs(images[0].numpy().astype(int) - expected)
    assert difference.max() <= 8  # two decoders of JPEG
    assert difference.mean() < 1.5


def test_turning_after_resizing_equals_turning_before() -> None:
    for turn in range(1, 9):
        image = smooth_image(5, 61, 37)
        image.getexif()[274] = turn
        expected = squashed(ImageOps.exif_transpose(image))
        found = apply_orientation(tf.constant(squashed(image)), tf.constant(turn)).numpy()
        assert np.abs(found.astype(int) - expected).max() <= 1


@pytest.mark.parametrize("value", [0, 9, 65535])
def test_an_unknown_orientation_is_upright(value: int) -> None:
    assert read_orientation(turned_jpeg(value)) == 1


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_damaged_exif_never_fails(data: st.DataObject) -> None:
    encoded = bytearray(turned_jpeg(6))
    for _ in range(data.draw(st.integers(1, 4))):
        position = data.draw(st.integers(2, 60))
        encoded[position] = data.draw(st.integers(0, 255))
    assert 1 <= read_orientation(bytes(encoded)) <= 8
    assert read_orientation(bytes(encoded[: data.draw(st.integers(0, 60))])) <= 8
