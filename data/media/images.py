"""Convert image files to the stored form: upright 8-bit RGB, as an export sees them.

JPEG, PNG, GIF and BMP are decoded as in the graph of an export (`data.media.image_headers`); Pillow
decodes what an export flags as invalid. Clients convert such images here before they send them.
"""

from __future__ import annotations

import functools
import io
import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from data.common.errors import UserError
from data.media.limits import LFS_POINTER, MAX_PIXELS
from data.media.packed import read_content

# Longest side of a stored image, in pixels: twice the input size of the usual encoders. Flickr's
# 500-pixel images are stored unchanged; COCO's 640 × 480 take half the space. The shorter side of a
# very wide or high image keeps half as many, for models see its sides at the same length.
MAX_SIDE = 512
# Not every format Pillow knows: some (EPS) start other programs.
FORMATS = ("JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", "PPM", "AVIF", "JPEG2000")
LOSSLESS = ("PNG", "GIF", "BMP", "TIFF", "PPM")  # stored as PNG, which JPEG would change
MAX_BYTES = 400_000_000  # a larger file cannot be decoded to at most `MAX_PIXELS`
_ORIENTATION = 0x0112  # the EXIF tag; 1 is upright
_JPEG, _END = b"\xff\xd8\xff", b"\xff\xd9"
_OTHERS = (b"\x89PNG", b"GIF8", b"BM")

# Pillow warns about unusual metadata and sizes; `load_image` has its own checks.
warnings.filterwarnings("ignore", module=r"PIL\.")


class BadImage(UserError):
    """Bytes that are not a usable image; the message is the reason, in a few words."""


def load_image(
    data: bytes, *, max_side: int | None = MAX_SIDE, plain_side: int | None = None
) -> bytes:
    """Decode an image completely and return it as an upright 8-bit RGB JPEG or PNG.

    An upright JPEG that both TensorFlow and Pillow decode is returned byte for byte; one that lacks
    only its end marker gets it. Anything else (EXIF rotation, other formats, the first frame of an
    animation) is converted; transparent pixels become white. The result is then a PNG of the same
    pixels, unless the file is a JPEG that is resized, or of another lossy format.

    Args:
        data: a whole file in one of `FORMATS`.
        max_side: an image with a longer side is resized to this many pixels; None: never.
        plain_side: the limit for upright JPEGs; None: `max_side`.

    Raises:
        BadImage: if the bytes are empty, cut short or not an image, or if the header gives more
            than `MAX_PIXELS` (checked before memory is allocated).
    """
    if not data:
        raise BadImage("empty file (0 bytes)")
    if data.startswith(LFS_POINTER):
        raise BadImage("a pointer of Git LFS, not the image: run `git lfs pull`")
    found = _decode_as_export(data, max_side, plain_side or max_side)
    if (found is None or lacks_end(data)) and (whole := _with_end(data)) is not None:
        found = _decode_as_export(whole, max_side, plain_side or max_side)
    if isinstance(found, bytes):
        return found
    image, lossless = found or _decode_with_pillow(data)
    scale = _scale(image.size, max_side)
    if scale < 1:
        width, height = (max(1, round(side * scale)) for side in image.size)
        image = image.resize((width, height), Image.Resampling.LANCZOS, reducing_gap=2.0)
    buffer = io.BytesIO()
    if lossless:
        image.save(buffer, "PNG", compress_level=1)
    else:
        image.save(buffer, "JPEG", quality=92, subsampling=0)
    return buffer.getvalue()


def _too_large(pixels: int) -> BadImage:
    return BadImage(
        f"too large: {pixels / 1e6:,.0f} million pixels, at most {MAX_PIXELS / 1e6:,.0f}"
    )


def _scale(size: tuple[int, int], max_side: int | None) -> float:
    """Return by how much to resize an image, at most 1."""
    if max_side is None or max(size) <= max_side:
        return 1.0
    return max(max_side / max(size), min(1.0, max_side / 2 / min(size)))


@functools.cache
def _header_reader() -> Callable[[bytes], Any]:
    import tensorflow as tf

    from data.media.image_headers import read_header

    return tf.function(read_header, input_signature=[tf.TensorSpec([], tf.string)], autograph=False)


def _decode_as_export(
    data: bytes, max_side: int | None, plain_side: int | None
) -> tuple[Image.Image, bool] | bytes | None:
    """Return the pixels that an export sees, and whether to store them without loss.

    Instead, return `data` if it can be stored as it is, or None if an export flags it as invalid.
    A JPEG that is resized is decoded at a fraction of its size, if that is large enough.
    """
    jpeg = data.startswith(_JPEG)
    if not jpeg and not data.startswith(_OTHERS):
        return None
    import tensorflow as tf

    from data.media.image_headers import apply_orientation, decode_pixels

    try:
        with tf.device("CPU"):
            header = _header_reader()(data)
            if not 0 < int(header.pixels) <= MAX_PIXELS:
                return None
            if not jpeg:
                pixels = decode_pixels(header.encoded, header.transparent)
                return Image.fromarray(pixels.numpy()), True
            height, width, _ = tf.io.extract_jpeg_shape(data).numpy().tolist()
            upright = int(header.orientation) == 1
            kept = upright and _scale((width, height), plain_side) == 1
            scale = 1.0 if kept else _scale((width, height), max_side)
            ratio = next(each for each in (8, 4, 2, 1) if each * scale <= 0.5 or each == 1)
            pixels = tf.io.decode_jpeg(data, channels=3, ratio=ratio)
            if kept and _opens_with_pillow(data):  # as other readers of the dataset do
                return data
            pixels = apply_orientation(pixels, header.orientation)
            return Image.fromarray(pixels.numpy()), scale == 1
    except tf.errors.InvalidArgumentError:
        return None


def _with_end(data: bytes) -> bytes | None:
    """Return a JPEG with the end marker that it lacks; None if it lacks more, or is no JPEG."""
    body = data.removesuffix(_END[:1])
    if not data.startswith(_JPEG) or body.endswith(_END):
        return None
    import tensorflow as tf

    try:
        height, width, _ = tf.io.extract_jpeg_shape(data, tf.int64).numpy().tolist()
        if height * width > MAX_PIXELS:
            return None
        # Where pixels are missing, the decoder takes any further bytes for them.
        more = (b"", 64 * b"\x5a", 64 * b"\xa5")
        first, *others = (tf.io.decode_jpeg(body + extra + _END) for extra in more)
    except tf.errors.InvalidArgumentError:
        return None
    same = all(bool(tf.reduce_all(first == other)) for other in others)
    return body + _END if same else None


def _opens_with_pillow(jpeg: bytes) -> bool:
    try:
        with Image.open(io.BytesIO(jpeg), formats=["JPEG"]) as small:
            small.draft(None, (1, 1))
            small.load()
    except Exception:  # on arbitrary bytes, decoders raise nearly any exception
        return False
    return True


def _decode_with_pillow(data: bytes) -> tuple[Image.Image, bool]:
    """Return the upright RGB pixels of an image, and whether to store them without loss."""
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            if image.width * image.height > MAX_PIXELS:
                raise _too_large(image.width * image.height)
            image.load()
            # TensorFlow, which decodes PNG in exports, ignores the EXIF of a PNG.
            rotated = image.format != "PNG" and _has_orientation(image)
            upright = ImageOps.exif_transpose(image) if rotated else image
            return _to_rgb(upright), image.format in LOSSLESS
    except BadImage:
        raise
    except UnidentifiedImageError:
        heic = data[4:12] in (b"ftypheic", b"ftypheix", b"ftypmif1", b"ftypmsf1", b"ftyphevc")
        text = "HEIC, which is not read: convert it to JPEG" if heic else "not an image"
        raise BadImage(text) from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        pixels = re.findall(r"\d+", str(error))[0]  # only Pillow has read the header
        raise _too_large(int(pixels)) from None
    except Exception as error:  # on arbitrary bytes, decoders raise nearly any exception
        text = "cut short" if "truncated" in str(error).lower() else f"damaged ({error})"
        raise BadImage(text) from None


def read_file(path: Path, place: str = "") -> bytes:
    """Return the bytes of an image file, or of an image in a larger file.

    Raises:
        BadImage: if it is too large to be decoded.
    """
    if not place and path.stat().st_size > MAX_BYTES:
        raise BadImage(f"file of more than {MAX_BYTES / 1e6:,.0f} MB")
    return read_content(path, place)


def lacks_end(data: bytes) -> bool:
    """Return whether a file is a JPEG without its end marker."""
    at = 2
    while data[at : at + 1] == b"\xff" and data[at + 1 : at + 2] != b"\xda":  # not the scan yet
        fill = data[at + 1 : at + 2] == b"\xff"
        at += 1 if fill else 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return data.startswith(_JPEG) and _END not in data[at:]  # cameras may append other data


def _has_orientation(image: Image.Image) -> bool:
    """Return whether EXIF gives a rotation or reflection."""
    try:
        return image.getexif().get(_ORIENTATION, 1) in range(2, 9)
    except Exception:  # an image with a damaged EXIF block is usable
        return False


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;16"):
        # Pillow would clip 16-bit gray values to 255 instead of scaling them.
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    elif image.mode in ("I", "F"):
        pixels = np.asarray(image, np.float64)
        low, high = pixels.min(), pixels.max()
        scaled = (pixels - low) * (255 / (high - low)) if high > low else pixels.clip(0, 255)
        image = Image.fromarray(scaled.round().astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image)
    return image if image.mode == "RGB" else image.convert("RGB")


def encode_jpeg(pixels: np.ndarray) -> bytes:
    """Encode an image, uint8 `[height, width, 3]`, as the JPEG for storage and for exports."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=92)
    return buffer.getvalue()


def encode_png(pixels: np.ndarray) -> bytes:
    """Encode an image, uint8 `[height, width]` or `[height, width, 3]`, as an RGB PNG."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).convert("RGB").save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()
