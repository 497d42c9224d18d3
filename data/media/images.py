"""Convert image files to the stored form: upright 8-bit RGB JPEG."""

from __future__ import annotations

import io
import re
import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, JpegImagePlugin, UnidentifiedImageError

from data.common.errors import UserError
from data.media.limits import LFS_POINTER, MAX_PIXELS
from data.media.packed import read_content

# Longest side of a stored image, in pixels: twice the input size of the usual encoders. Flickr's
# 500-pixel images are stored unchanged; COCO's 640 × 480 take half the space.
MAX_SIDE = 512
# Not every format Pillow knows: some (EPS) start other programs.
FORMATS = ("JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", "PPM", "AVIF", "JPEG2000")
MAX_BYTES = 400_000_000  # a larger file cannot be decoded to at most `MAX_PIXELS`
_ORIENTATION = 0x0112  # the EXIF tag; 1 is upright

# Pillow warns about unusual metadata and sizes; `load_image` has its own checks.
warnings.filterwarnings("ignore", module=r"PIL\.")


class BadImage(UserError):
    """Bytes that are not a usable image; the message is the reason, in a few words."""


def load_image(
    data: bytes, *, max_side: int | None = MAX_SIDE, plain_side: int | None = None
) -> bytes:
    """Decode an image completely and return it as an upright 8-bit RGB JPEG.

    An upright RGB JPEG that TensorFlow can decode is returned byte for byte. Anything else (EXIF
    rotation, CMYK, grayscale, 16-bit, palette, the first frame of an animation, other formats) is
    converted; transparent pixels become white.

    Args:
        data: a whole file in one of `FORMATS`.
        max_side: an image with a longer side is resized to this many pixels; None: never.
        plain_side: the limit for upright RGB JPEGs; None: `max_side`.

    Raises:
        BadImage: if the bytes are empty, cut short or not an image, or if the header gives more
            than `MAX_PIXELS` (checked before memory is allocated).
    """
    if not data:
        raise BadImage("empty file (0 bytes)")
    if data.startswith(LFS_POINTER):
        raise BadImage("a pointer of Git LFS, not the image: run `git lfs pull`")
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            if image.width * image.height > MAX_PIXELS:
                raise _too_large(image.width * image.height)
            whole = _with_end(data) if lacks_end(data) else data
            if whole is data:
                return _convert(image, data, max_side, plain_side or max_side)
        return load_image(whole, max_side=max_side, plain_side=plain_side)
    except BadImage:
        raise
    except UnidentifiedImageError:
        raise BadImage("not an image") from None
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
    return data.startswith(b"\xff\xd8") and not data.rstrip(b"\0").endswith(b"\xff\xd9")


def _with_end(data: bytes) -> bytes:
    """Return a JPEG with its end marker, if nothing else is missing."""
    body = data.removesuffix(b"\xff")
    # Where image data are missing, a decoder takes what stands before the marker for them.
    tails = [body + filler + b"\xff\xd9" for filler in (b"", 64 * b"\x5a", 64 * b"\xa5")]
    try:
        first, *others = (
            Image.open(io.BytesIO(tail), formats=["JPEG"]).tobytes() for tail in tails
        )
    except Exception:  # `load_image` reports what is wrong
        return data
    return tails[0] if all(other == first for other in others) else data


def _too_large(pixels: int) -> BadImage:
    return BadImage(
        f"too large: {pixels / 1e6:,.0f} million pixels, at most {MAX_PIXELS / 1e6:,.0f}"
    )


def _has_orientation(image: Image.Image) -> bool:
    """Return whether EXIF gives a rotation or reflection."""
    try:
        return image.getexif().get(_ORIENTATION, 1) in range(2, 9)
    except Exception:  # an image with a damaged EXIF block is usable
        return False


def _convert(
    image: Image.Image, data: bytes, max_side: int | None, plain_side: int | None
) -> bytes:
    # TensorFlow, which decodes PNG in exports, ignores the EXIF of a PNG.
    rotated = image.format != "PNG" and _has_orientation(image)
    fits = plain_side is None or max(image.size) <= plain_side
    plain = image.format == "JPEG" and image.mode == "RGB" and not rotated
    if plain and fits and _decodes_in_both(data):
        return data
    if max_side is not None:
        # A large JPEG need not be decoded at full size; twice the target keeps it sharp.
        image.draft(None, (2 * max_side, 2 * max_side))
    upright = _to_rgb(ImageOps.exif_transpose(image) if rotated else image)
    if max_side is not None:
        upright.thumbnail((max_side, max_side), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    upright.save(buffer, "JPEG", quality=92, subsampling=_subsampling(image))
    return buffer.getvalue()


def _subsampling(image: Image.Image) -> int:
    """Return the chroma subsampling: that of a source JPEG; none for others, such as drawings."""
    known = image.format == "JPEG" and image.mode == "RGB"
    return max(0, JpegImagePlugin.get_sampling(image)) if known else 0


def _decodes_in_both(jpeg: bytes) -> bool:
    """Return whether TensorFlow can decode a JPEG; raise Pillow's error if Pillow cannot."""
    import tensorflow as tf

    with Image.open(io.BytesIO(jpeg), formats=["JPEG"]) as small:
        small.draft(None, (1, 1))
        small.load()  # raises if the data ends early
    try:
        tf.io.decode_jpeg(jpeg, channels=3, ratio=8)
    except tf.errors.InvalidArgumentError:
        return False
    return True


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
