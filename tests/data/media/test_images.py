"""Images of every format become upright RGB JPEGs; unusable files give a reason."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from data.common.errors import UserError
from data.media.images import MAX_SIDE, BadImage, lacks_end, load_image

WIDTH, HEIGHT = 48, 32


def smooth(seed: int = 0, width: int = WIDTH, height: int = HEIGHT) -> npt.NDArray[np.uint8]:
    """Return an image without symmetry that JPEG keeps well: [height, width, 3]."""
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 6, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))


def encode(pixels: Any, form: str = "JPEG", **options: Any) -> bytes:
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    buffer = io.BytesIO()
    if form == "JPEG":
        options = {"quality": 95, "subsampling": 0} | options
    image.save(buffer, form, **options)
    return buffer.getvalue()


def decode(data: bytes) -> npt.NDArray[np.int64]:
    image = Image.open(io.BytesIO(data))
    assert image.format in ("JPEG", "PNG")
    assert image.getexif().get(0x0112, 1) == 1
    return np.asarray(image.convert("RGB"), np.int64)


def png(width: int, height: int, rows: bytes) -> bytes:
    """Return a PNG with any header."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        check = zlib.crc32(kind + content)
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", check)

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("progressive", [False, True])
def test_a_plain_jpeg_is_stored_byte_for_byte(progressive: bool) -> None:
    data = encode(smooth(), progressive=progressive)
    assert load_image(data) == data


def test_a_jpeg_that_only_pillow_reads_is_converted_for_tensorflow() -> None:
    data = encode(smooth())
    middle = (data.index(b"\xff\xda") + len(data)) // 2
    damaged = data[:middle] + b"\xff\xdc" + data[middle:]  # a marker among the pixels
    with pytest.raises(tf.errors.InvalidArgumentError):
        tf.io.decode_image(damaged)
    stored = load_image(damaged)
    assert tf.io.decode_image(stored).shape == (HEIGHT, WIDTH, 3)


def test_only_a_large_image_is_resized() -> None:
    data = encode(smooth(1, 3 * MAX_SIDE, 2 * MAX_SIDE))
    large = load_image(data)
    expected = smooth(1, MAX_SIDE, MAX_SIDE * 2 // 3).astype(int)
    assert np.abs(decode(large) - expected).mean() < 2
    assert load_image(data, max_side=None) == data


def test_the_short_side_of_a_thin_image_keeps_its_pixels() -> None:
    """A model sees both sides at the same length, so that rows must not vanish."""
    for width, height in ((2000, 1), (1200, 3), (3, 1200), (800, 40)):
        data = encode(smooth(1, width, height))
        assert load_image(data, max_side=100) == data
    panorama = load_image(encode(smooth(1, 1600, 200)), max_side=100)
    assert decode(panorama).shape == (50, 400, 3)


def test_plain_side_limits_plain_jpegs_only() -> None:
    pixels = smooth(1, 80, 60)
    for plain in (encode(pixels), encode(pixels[..., 0])):
        assert load_image(plain, max_side=40, plain_side=80) == plain
    turned = Image.Exif()
    turned[0x0112] = 3
    others = [
        encode(pixels, exif=turned),
        encode(pixels, "PNG"),
        encode(smooth(1, 81, 60)),
    ]
    for data in others:
        assert max(decode(load_image(data, max_side=40, plain_side=80)).shape) == 40


# EXIF 2.32, tag 274: where the stored rows and columns lie in the image as it should be seen.
STORED_AS = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: a[:, ::-1].transpose(1, 0, 2),
    7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
    8: lambda a: a[::-1].transpose(1, 0, 2),
}


@pytest.mark.parametrize("orientation", STORED_AS)
@pytest.mark.parametrize("form", ["JPEG", "WEBP"])
def test_rotated_images_are_stored_upright(orientation: int, form: str) -> None:
    seen = smooth(2)
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = np.ascontiguousarray(STORED_AS[orientation](seen))
    options = {"lossless": True} if form == "WEBP" else {}
    image = load_image(encode(stored, form, exif=exif, **options))
    assert np.abs(decode(image) - seen).mean() < 4


def test_the_exif_of_a_png_is_ignored() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    assert load_image(encode(smooth(), "PNG", exif=exif)) == load_image(encode(smooth(), "PNG"))


@pytest.mark.filterwarnings(
    "ignore:Corrupt EXIF data"
)  # as outside the tests: see data.media.images
def test_an_image_with_a_damaged_exif_block_is_usable() -> None:
    data = encode(smooth())
    for block in (b"Exif\0\0rubbish", b"Exif\0\0II*\0\x08\0\0\0\xff\xff\x12\x01\x03\0"):
        marked = data[:2] + b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block + data[2:]
        assert decode(load_image(marked)).shape == (HEIGHT, WIDTH, 3)


@pytest.mark.parametrize(
    ("mode", "form"),
    [
        ("RGB", "PNG"),
        ("RGB", "BMP"),
        ("RGB", "TIFF"),
        ("RGB", "WEBP"),
        ("RGB", "PPM"),
        ("CMYK", "JPEG"),
        ("CMYK", "TIFF"),
        ("P", "PNG"),
        ("P", "GIF"),
        ("RGBA", "PNG"),
    ],
)
def test_other_formats_and_color_modes_keep_their_pixels(mode: str, form: str) -> None:
    seen = smooth(3)
    options = {"lossless": True} if form == "WEBP" else {}
    image = Image.fromarray(seen)
    image = image.quantize(256) if mode == "P" else image.convert(mode)
    loaded = load_image(encode(image, form, **options))
    # 256 colors are coarse; the rest is JPEG's own loss.
    assert np.abs(decode(loaded) - seen).mean() < (8 if mode == "P" else 4)


@pytest.mark.parametrize("form", ["JPEG", "PNG"])
def test_grayscale_becomes_three_equal_channels(form: str) -> None:
    gray = smooth()[..., 0]
    pixels = decode(load_image(encode(gray, form)))
    assert np.abs(pixels - gray[..., None]).mean() < 2


def test_sixteen_bit_grayscale_is_scaled_not_clipped() -> None:
    gray = np.linspace(0, 65535, WIDTH * HEIGHT).reshape(HEIGHT, WIDTH).astype(np.uint16)
    pixels = decode(load_image(encode(gray, "PNG")))
    assert np.abs(pixels - (gray[..., None] / 257)).max() < 6


@pytest.mark.parametrize("mode", ["I", "F"])
def test_integer_and_float_images_are_stretched_to_the_full_range(mode: str) -> None:
    ramp = np.linspace(-5, 900, WIDTH * HEIGHT).reshape(HEIGHT, WIDTH)
    numbers = ramp.astype(np.int32 if mode == "I" else np.float32)
    pixels = decode(load_image(encode(numbers, "TIFF")))
    assert (pixels.min(), pixels.max()) == (pytest.approx(0, abs=4), pytest.approx(255, abs=4))


@pytest.mark.parametrize("kind", ["RGBA", "LA", "palette"])
def test_transparent_pixels_become_white(kind: str) -> None:
    pixels = np.zeros((16, 16, 4), np.uint8)
    pixels[:, 8:, 3] = 255
    image = Image.fromarray(pixels)
    if kind == "palette":
        image = image.quantize(2)
    elif kind == "LA":
        image = image.convert("LA")
    seen = decode(load_image(encode(image, "PNG")))
    assert seen[:, :7].min() > 240
    assert seen[:, 9:].max() < 15


@pytest.mark.parametrize("form", ["GIF", "WEBP", "PNG", "TIFF"])
def test_the_first_frame_of_an_animation_is_stored(form: str) -> None:
    frames = [Image.new("RGB", (16, 16), color) for color in ("red", "lime", "blue")]
    image = load_image(encode(frames[0], form, save_all=True, append_images=frames[1:]))
    assert np.abs(decode(image) - [255, 0, 0]).max() < 5


def test_an_empty_file_is_reported() -> None:
    with pytest.raises(BadImage, match=r"empty file \(0 bytes\)"):
        load_image(b"")


def test_an_image_of_a_phone_that_is_not_read_is_named() -> None:
    with pytest.raises(BadImage, match="HEIC, which is not read: convert it to JPEG"):
        load_image(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100))


@pytest.mark.parametrize("data", [b"<!DOCTYPE html>", b"\xff\xd8", b"%!PS-Adobe-3.0 EPSF-3.0\n"])
def test_bytes_that_are_not_an_image_are_reported(data: bytes) -> None:
    with pytest.raises(BadImage):
        load_image(data)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF"])
def test_a_truncated_image_is_rejected(form: str) -> None:
    data = encode(smooth(), form)
    # TIFF keeps its directory at the end; a GIF may lack its last byte, the trailer.
    for tenth in range(10):
        with pytest.raises(BadImage):
            load_image(data[: len(data) * tenth // 10])


@pytest.mark.parametrize(("side", "million"), [(30_000, "900"), (12_000, "144"), (9_000, "81")])
def test_a_header_with_too_many_pixels_is_rejected_before_decoding(side: int, million: str) -> None:
    # Had decoding begun, the reason would be the missing rows.
    with pytest.raises(BadImage, match=f"too large: {million} million pixels, at most 80"):
        load_image(png(side, side, b""))
    with pytest.raises(BadImage, match=r"cut short|damaged"):
        load_image(png(100, 100, b""))


def test_a_bad_image_is_a_user_error() -> None:
    assert issubclass(BadImage, UserError)


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_damaged_bytes_give_an_image_or_a_reason(data: st.DataObject) -> None:
    form = data.draw(st.sampled_from(["JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF"]))
    content = bytearray(encode(smooth(), form))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    try:
        image = load_image(bytes(content))
    except BadImage as error:
        assert 0 < len(str(error)) < 200
    else:
        assert decode(image).ndim == 3


def reads(data: bytes) -> bool:
    """Return whether both libraries decode a JPEG at its full size."""
    try:
        Image.open(io.BytesIO(data)).load()
        tf.io.decode_jpeg(data, channels=3)
    except (OSError, SyntaxError, tf.errors.InvalidArgumentError):
        return False
    return True


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_damaged_jpeg_is_unchanged_only_if_both_libraries_read_it(
    data: st.DataObject,
) -> None:
    options: dict[str, Any] = {
        "progressive": data.draw(st.booleans()),
        "subsampling": data.draw(st.sampled_from([0, 2])),
        "restart_marker_blocks": data.draw(st.sampled_from([0, 2])),
    }
    content = encode(smooth(), **options)
    at = data.draw(st.integers(2, len(content) - 1))
    marker = st.integers(0xC0, 0xFE).map(lambda code: bytes([0xFF, code]))
    new = data.draw(st.one_of(st.just(b""), marker, st.binary(max_size=4)))
    gone = data.draw(st.sampled_from([0, 1, 30, len(content)]))
    content = content[:at] + new + content[at + gone :]
    try:
        image = load_image(content)
    except BadImage as error:
        assert "too large" in str(error) or not reads(content)
    else:
        assert image.startswith(b"\x89PNG") or reads(image)
        if image == content:
            assert reads(content)


@pytest.mark.parametrize("marker", [b"\xff\xc2", b"\xff\xc9"])
def test_a_jpeg_that_only_tensorflow_reads_is_converted_for_others(marker: bytes) -> None:
    content = encode(smooth())
    damaged = content[:-2] + marker + content[-2:]  # a second frame, with nothing in it
    with pytest.raises(OSError, match="broken"):
        Image.open(io.BytesIO(damaged)).load()
    np.testing.assert_array_equal(decode(load_image(damaged)), tf.io.decode_jpeg(damaged))


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"quality": 30}])
def test_a_jpeg_without_its_end_marker_is_whole_and_any_other_cut_is_not(
    options: dict[str, Any],
) -> None:
    buffer = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    Image.fromarray(pixels).resize((120, 90)).save(buffer, "JPEG", **options)
    whole = buffer.getvalue()
    assert not lacks_end(whole) and not lacks_end(whole + b"other data" * 99)
    for missing in (1, 2):
        assert lacks_end(whole[:-missing])
        assert load_image(whole[:-missing]) == whole
    for missing in (3, 4, 8, 50, 500):
        with pytest.raises(BadImage, match="cut short"):
            load_image(whole[:-missing])


def test_a_pointer_of_git_lfs_is_named() -> None:
    with pytest.raises(BadImage, match="a pointer of Git LFS"):
        load_image(b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12\n")
