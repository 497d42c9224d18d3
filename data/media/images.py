"""Pictures as they come, made into what is stored: upright 8-bit RGB JPEG."""

from __future__ import annotations

import io
import re
import warnings
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageOps, JpegImagePlugin, UnidentifiedImageError

from data.common.errors import UserError

# What is stored is at most this long, in pixels: twice what the usual encoders look at. Flickr's
# own 500-pixel pictures stay as they are; COCO's 640 × 480 take half the room.
MAX_SIDE = 512
# Decoded, a picture of this many pixels takes 240 MB. Cameras of 2024 make 50 million.
MAX_PIXELS = 80_000_000
# Not every format Pillow knows: some (EPS) start other programs.
FORMATS = ("JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", "PPM", "AVIF", "JPEG2000")
_ORIENTATION = 0x0112  # the EXIF tag; 1 is upright

# Pillow prints warnings about odd metadata and sizes; `load_image` judges for itself.
warnings.filterwarnings("ignore", module=r"PIL\.")


class BadImage(UserError):
    """Bytes that are not a usable picture; the text is the reason, in a few words."""


class EncodedImage(NamedTuple):
    """An upright RGB picture: its JPEG bytes and its size in pixels."""

    jpeg: bytes
    width: int
    height: int


def load_image(
    data: bytes,
    *,
    max_side: int | None = MAX_SIDE,
    plain_side: int | None = None,
    max_pixels: int = MAX_PIXELS,
) -> EncodedImage:
    """Decode a picture in full and return it as an upright 8-bit RGB JPEG.

    A plain upright RGB JPEG that TensorFlow can decode comes back byte for byte. Anything else
    (turned by EXIF, CMYK, grey, 16-bit, palette, animated: its first frame, other formats) is
    converted; what is transparent becomes white.

    Args:
        data: a whole JPEG, PNG, GIF, BMP, WebP, TIFF, PPM, AVIF or JPEG 2000 file.
        max_side: a picture with a longer side is shrunk to this many pixels; None: never.
        plain_side: but a plain upright RGB JPEG only if it is longer than this; None: `max_side`.
        max_pixels: the most pixels that the header may announce.

    Raises:
        BadImage: if the bytes are empty, cut short or not an image, or if the header announces
            more than `max_pixels` (known before any pixel gets memory).
    """
    if not data:
        raise BadImage("empty file (0 bytes)")
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            if image.width * image.height > max_pixels:
                raise _too_large(image.width * image.height, max_pixels)
            return _convert(image, data, max_side, plain_side or max_side)
    except BadImage:
        raise
    except UnidentifiedImageError:
        raise BadImage("not an image") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        pixels = re.findall(r"\d+", str(error))[0]  # Pillow has read the header, we have not
        raise _too_large(int(pixels), max_pixels) from None
    except Exception as error:  # decoders fed with any bytes raise nearly anything
        text = "cut short" if "truncated" in str(error).lower() else f"damaged ({error})"
        raise BadImage(text) from None


def _too_large(pixels: int, max_pixels: int) -> BadImage:
    return BadImage(
        f"too large: {pixels / 1e6:,.0f} million pixels, at most {max_pixels / 1e6:,.0f}"
    )


def _is_turned(image: Image.Image) -> bool:
    """Return whether EXIF says that the picture does not lie as it should be seen."""
    try:
        return image.getexif().get(_ORIENTATION, 1) in range(2, 9)
    except Exception:  # a damaged EXIF block does not make a bad picture
        return False


def _convert(
    image: Image.Image, data: bytes, max_side: int | None, plain_side: int | None
) -> EncodedImage:
    # TensorFlow, which decodes PNG in exports, knows nothing of its EXIF.
    turned = image.format != "PNG" and _is_turned(image)
    fits = plain_side is None or max(image.size) <= plain_side
    plain = image.format == "JPEG" and image.mode == "RGB" and not turned
    if plain and fits and _is_read_by_both(data):
        return EncodedImage(data, *image.size)
    if max_side is not None:
        # A large JPEG need not be decoded at full size; twice the target keeps it sharp.
        image.draft(None, (2 * max_side, 2 * max_side))
    upright = _to_rgb(ImageOps.exif_transpose(image) if turned else image)
    if max_side is not None:
        upright.thumbnail((max_side, max_side), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    upright.save(buffer, "JPEG", quality=92, subsampling=_subsampling(image))
    return EncodedImage(buffer.getvalue(), *upright.size)


def _subsampling(image: Image.Image) -> int:
    """Return how coarse colours are stored: as in the JPEG they come from; else not, for drawings.

    Photos lose nothing by it, take a third less room and half the time to encode.
    """
    known = image.format == "JPEG" and image.mode == "RGB"
    return max(0, JpegImagePlugin.get_sampling(image)) if known else 0


def _is_read_by_both(jpeg: bytes) -> bool:
    """Return whether what trains can decode a JPEG; raise what Pillow does if that cannot.

    Of damaged files each takes some that the other refuses. At an eighth of the size every byte is
    read as ever, and few pixels are computed.
    """
    import tensorflow as tf

    with Image.open(io.BytesIO(jpeg), formats=["JPEG"]) as small:
        small.draft(None, (1, 1))
        small.load()  # raises where the data stops early
    try:
        tf.io.decode_jpeg(jpeg, channels=3, ratio=8)
    except tf.errors.InvalidArgumentError:
        return False
    return True


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;16"):
        # Pillow would clip 16-bit grey to 255 instead of scaling it.
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


def frame_jpeg(pixels: np.ndarray) -> bytes:
    """Encode a clip's frame, uint8 `[height, width, 3]`, as it is stored and sent to exports."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=92)
    return buffer.getvalue()
