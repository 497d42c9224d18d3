"""Generated images as they are stored."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image


def encode_png(pixels: np.ndarray) -> bytes:
    """Encode uint8 pixels, `[height, width]` or `[height, width, 3]`, as an RGB PNG."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).convert("RGB").save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()
