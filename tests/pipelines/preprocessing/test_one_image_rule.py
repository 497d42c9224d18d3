"""Datasets and exports see the same pixels of any file, or the export flags it as invalid.

A client converts what an export flags by `load_image`, as datasets do: it is then the same again.
"""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, TiffImagePlugin

from data.media.images import BadImage, load_image
from pipelines.preprocessing.images import decode_image, decode_or_flag
from tests.support.tiny.captioner import encode, png_chunk, smooth_image

SIZE = 24
BATCH = [tf.TensorSpec([None], tf.string)]
decode = tf.function(
    lambda encoded: decode_or_flag(encoded, SIZE), input_signature=BATCH, autograph=False
)
decode_stored = tf.function(
    lambda encoded: decode_image(encoded, SIZE),
    input_signature=[tf.TensorSpec([], tf.string)],
    autograph=False,
)


def segment(marker: int, content: bytes, fill: int = 0) -> bytes:
    return b"\xff" * fill + bytes([0xFF, marker]) + struct.pack(">H", len(content) + 2) + content


def exif(turn: int, kind: int = 3, order: str = "<", count: int = 1) -> bytes:
    """Return an EXIF block with an orientation of a TIFF type: 3 SHORT, 4 LONG, 1 BYTE."""
    value = {1: "Bxxx", 3: "Hxx", 4: "I"}[kind]
    entry = struct.pack(f"{order}HHI{value}", 274, kind, count, turn)
    start = {"<": b"II", ">": b"MM"}[order] + struct.pack(order + "HI", 42, 8)
    return b"Exif\0\0" + start + struct.pack(order + "H", 1) + entry + bytes(4)


def marked(block: bytes, before: bytes = b"", fill: int = 0, **options: Any) -> bytes:
    """Return a JPEG with an APP1 segment, and other bytes before it."""
    jpeg = encode(smooth_image(3), quality=95, **options)
    return jpeg[:2] + before + segment(0xE1, block, fill) + jpeg[2:]


def gif(screen: tuple[int, int], place: tuple[int, int] = (0, 0)) -> bytes:
    """Return a GIF whose only frame has 60 × 40 pixels, on a screen of another size."""
    whole = bytearray(encode(smooth_image(4).quantize(16), "GIF"))
    whole[6:10] = struct.pack("<HH", *screen)
    frame = whole.index(b",", 13 + 3 * 2 ** (whole[10] % 8 + 1))
    whole[frame + 1 : frame + 5] = struct.pack("<HH", *place)
    return bytes(whole)


def deep_png(color: int, transparent: bytes = b"", bits: int = 16) -> bytes:
    """Return a PNG of 16 bits a channel; `color` is PNG's color type."""
    channels = {0: 1, 2: 3, 4: 2, 6: 4}[color]
    pixels = np.random.default_rng(0).integers(0, 65536, (9, 7, channels), np.uint16)
    pixels[:3] = 0x1234
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    header = struct.pack(">IIBBBBB", 7, 9, bits, color, 0, 0, 0)
    parts = [(b"IHDR", header)] + [(b"tRNS", transparent)] * bool(transparent)
    parts += [(b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(name, content) for name, content in parts)


def bmp(bits: int, compression: int = 0, header: int = 40) -> bytes:
    """Return a BMP of 4 × 4 pixels of a few bits each, with a gray palette."""
    rows = {1: b"\xa0\0\0\0", 4: b"\x12\x34\0\0", 8: b"\x10\x20\x30\x40", 16: bytes(range(8))}
    rows |= {24: bytes(range(12)), 32: bytes(range(16))}
    pixels = 4 * rows[bits]
    if compression:  # a run of four pixels a row
        pixels = 4 * b"\x04\x80\0\0" + b"\0\1"
    palette = b""
    if bits <= 8:
        grays = np.linspace(0, 255, 2**bits).astype(np.uint8)
        palette = b"".join(bytes([gray, gray, gray] + [0] * (header == 40)) for gray in grays)
    start = 14 + header + len(palette)
    if header == 12:
        about = struct.pack("<IHHHH", 12, 4, 4, 1, bits)
    else:
        about = struct.pack("<IiiHHIIiiII", 40, 4, 4, 1, bits, compression, len(pixels), 0, 0, 0, 0)
    return (
        struct.pack("<2sIHHI", b"BM", start + len(pixels), 0, 0, start) + about + palette + pixels
    )


def with_tag(form: str, turn: int) -> bytes:
    """Return an image with an orientation as Pillow writes it."""
    tags = Image.Exif()
    tags[274] = turn
    return encode(smooth_image(3), form, exif=tags)


def tiff(**tags: int) -> bytes:
    directory = TiffImagePlugin.ImageFileDirectory_v2()
    directory[274] = tags["turn"]
    return encode(smooth_image(3), "TIFF", tiffinfo=directory)


XMP = (
    b"http://ns.adobe.com/xap/1.0/\0<x:xmpmeta xmlns:x='adobe:ns:meta/'><rdf:RDF "
    b"xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#'><rdf:Description "
    b"xmlns:tiff='http://ns.adobe.com/tiff/1.0/' tiff:Orientation='6'/></rdf:RDF></x:xmpmeta>"
)
FEW = smooth_image(2).quantize(16)
# Files, and whether an export takes them as they are.
ODD: dict[str, tuple[bytes, bool]] = {
    "GIF: frame smaller than its canvas": (gif((90, 70)), False),
    "GIF: frame beside the corner": (gif((60, 40), (5, 5)), False),
    "GIF: frame larger than its canvas": (gif((30, 20)), False),
    "GIF: frame fills its canvas": (gif((60, 40)), True),
    "PNG: 16-bit gray": (deep_png(0), True),
    "PNG: 16-bit gray with tRNS": (deep_png(0, b"\x12\x34"), True),
    "PNG: 16-bit RGB with tRNS": (deep_png(2, b"\x12\x34" * 3), True),
    "PNG: 16-bit gray with alpha": (deep_png(4), True),
    "PNG: 16-bit RGBA": (deep_png(6), True),
    "PNG: gray with tRNS": (encode(smooth_image(1, mode="L"), "PNG", transparency=80), True),
    "PNG: orientation": (with_tag("PNG", 6), True),
    "JPEG: orientation": (with_tag("JPEG", 6), True),
    "JPEG: orientation LONG": (marked(exif(6, 4)), True),
    "JPEG: orientation LONG, big-endian": (marked(exif(8, 4, ">")), True),
    "JPEG: orientation BYTE": (marked(exif(6, 1)), True),
    "JPEG: orientation of two values": (marked(exif(6, 3, count=2)), True),
    "JPEG: EXIF after 300 kB": (marked(exif(6), 5 * segment(0xE2, bytes(60_000))), True),
    "JPEG: EXIF after thumbnails": (marked(exif(5), segment(0xE0, b"JFXX\0\x10" + bytes(9))), True),
    "JPEG: fill bytes before APP1": (marked(exif(6), fill=3), True),
    "JPEG: orientation in XMP only": (marked(XMP), True),
    "JPEG: two EXIF segments": (marked(exif(6), segment(0xE1, exif(3))), True),
    "JPEG: progressive, gray": (encode(smooth_image(1, mode="L"), progressive=True), True),
    "JPEG: CMYK": (encode(smooth_image(1, mode="CMYK")), True),
    "JPEG: 1200 × 3": (encode(smooth_image(1, 1200, 3), quality=95), True),
    "JPEG: 3 × 1200": (encode(smooth_image(1, 3, 1200), quality=95), True),
    "JPEG: bytes after its end": (encode(smooth_image(1)) + b"junk" * 9, True),
    "JPEG: no end marker": (encode(smooth_image(1))[:-2], False),
    "JPEG: half an end marker": (encode(smooth_image(1))[:-1], False),
    "BMP: 24 bits": (bmp(24), True),
    "BMP: 24 bits, OS/2": (bmp(24, header=12), False),
    "BMP: gray": (bmp(8), True),
    "BMP: run-length encoded": (bmp(8, 1), False),
    "BMP: 1 bit": (bmp(1), False),
    "BMP: 4 bits": (bmp(4), False),
    "BMP: 16 bits": (bmp(16), False),
    "BMP: 32 bits": (bmp(32), True),
    "BMP: palette": (encode(FEW, "BMP"), False),
    "WebP": (encode(smooth_image(1), "WEBP"), False),
    "WebP: orientation": (with_tag("WEBP", 6), False),
    "TIFF": (encode(smooth_image(1), "TIFF"), False),
    "TIFF: orientation": (tiff(turn=8), False),
    "PPM": (encode(smooth_image(1), "PPM"), False),
    "AVIF": (encode(smooth_image(1), "AVIF"), False),
    "JPEG 2000": (encode(smooth_image(1), "JPEG2000"), False),
}


def in_training(encoded: bytes) -> np.ndarray | None:
    """Return the pixels that a model is trained on; None if the dataset leaves the image out."""
    try:
        return np.asarray(decode_stored(load_image(encoded)).numpy(), int)
    except BadImage:
        return None


def in_export(encoded: bytes) -> np.ndarray | None:
    """Return the pixels that an export sees; None if it flags the image as invalid."""
    images, valid = decode(tf.constant([encoded]))
    return np.asarray(images[0].numpy(), int) if valid[0] else None


def check(encoded: bytes) -> bool:
    """Compare both; return whether the export takes the file as it is."""
    trained, seen = in_training(encoded), in_export(encoded)
    if seen is not None:
        assert trained is not None
        # Rotated images are resized before they are turned, or after.
        assert np.abs(trained - seen).max() <= 1
    elif trained is not None:  # a client sends the converted image
        converted = in_export(load_image(encoded))
        assert converted is not None
        assert np.abs(trained - converted).max() == 0
    return seen is not None


@pytest.mark.parametrize("name", ODD)
def test_odd_files_give_the_same_pixels_or_are_flagged(name: str) -> None:
    encoded, valid = ODD[name]
    assert in_training(encoded) is not None
    assert check(encoded) == valid


@pytest.mark.parametrize(
    ("name", "turn"),
    [
        ("JPEG: orientation LONG", 6),
        ("JPEG: orientation LONG, big-endian", 8),
        ("JPEG: EXIF after 300 kB", 6),
        ("JPEG: fill bytes before APP1", 6),
        ("JPEG: two EXIF segments", 3),
        ("JPEG: orientation in XMP only", 1),
        ("PNG: orientation", 1),
        ("WebP: orientation", 6),
        ("TIFF: orientation", 8),
    ],
)
def test_an_orientation_is_applied_however_it_is_written(name: str, turn: int) -> None:
    found = in_training(ODD[name][0])
    upright = in_training(encode(smooth_image(3), "PNG"))
    assert found is not None and upright is not None
    expected = {
        1: upright,
        3: upright[::-1, ::-1],
        6: np.rot90(upright, -1),
        8: np.rot90(upright),
    }[turn]
    assert np.abs(found - expected).mean() < 3


def test_a_transparent_gray_of_16_bits_is_white() -> None:
    pixels = np.asarray(Image.open(io.BytesIO(load_image(deep_png(0, b"\x12\x34")))))
    assert (pixels[:3] == 255).all()
    assert pixels[3:].min() < 100


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_random_files_give_the_same_pixels_or_are_flagged(data: st.DataObject) -> None:
    sides = st.sampled_from([1, 2, 3, 17, 40, 63, 400, 511])
    mode = data.draw(st.sampled_from(["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16"]))
    forms = {"LA": ["PNG"], "RGBA": ["PNG", "WEBP", "TIFF"], "CMYK": ["JPEG", "TIFF"]}
    forms |= {"I;16": ["PNG", "TIFF"], "P": ["PNG", "GIF", "BMP", "TIFF"]}
    forms |= {"RGB": ["JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", "PPM"]}
    form = data.draw(st.sampled_from(forms.get(mode, ["PNG", "GIF", "BMP", "TIFF", "PPM"])))
    image = smooth_image(data.draw(st.integers(0, 9)), data.draw(sides), data.draw(sides))
    if mode == "P":
        image = image.quantize(data.draw(st.sampled_from([2, 5, 256])))
    elif mode == "I;16":
        image = Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 201)
    else:
        image = image.convert(mode)
    options: dict[str, Any] = {}
    if form == "JPEG":
        options = {
            "progressive": data.draw(st.booleans()),
            "subsampling": data.draw(st.sampled_from([0, 1, 2])),
            "quality": data.draw(st.sampled_from([30, 95])),
        }
    if form in ("JPEG", "PNG", "WEBP"):
        tags = Image.Exif()
        tags[274] = data.draw(st.integers(0, 9))
        options["exif"] = tags
    if form in ("PNG", "GIF") and mode in ("P", "L"):
        options |= data.draw(st.sampled_from([{}, {"transparency": 1}]))
    if form == "BMP" and mode == "RGB":
        options["bits"] = 24
    encoded = encode(image, form, **options)
    check(encoded)
    cut = data.draw(st.integers(0, len(encoded)))
    check(encoded[:cut] + data.draw(st.binary(max_size=3)) + encoded[cut + 1 :])
