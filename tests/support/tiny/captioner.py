"""A captioner small enough to export in a second; its random weights make lively captions."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import keras
import numpy as np
from PIL import Image

from data.media.vocabulary import END, SPECIAL, Vocabulary
from models.encoder_head import EncoderHead
from models.encoders.image import ImageEncoder
from models.heads.sequence_decoder import SequenceDecoder
from models.search.hypotheses import SearchOptions
from pipelines.preprocessing.images import ImagePreprocessing

SIZE, GRID = 32, [4, 4]
SOURCE = ImagePreprocessing(SIZE, (4, 4))
OPTIONS = SearchOptions(beams=3, n_best=3, max_words=7, length_penalty=0.7)
WORDS = ("a", "dog", "runs", "on", "the", "red", "été", "кошка", "狗", "⚽")
VOCABULARY = Vocabulary([*SPECIAL, *WORDS])


def tiny_captioner(cell: str = "show-attend-tell") -> Any:
    keras.utils.set_random_seed(4)
    backbone = keras.Sequential(
        [
            keras.Input((SIZE, SIZE, 3)),
            keras.layers.Rescaling(1 / 64, offset=-2),
            keras.layers.Conv2D(8, 8, 8),
        ]
    )
    encoder = ImageEncoder(8)
    encoder.build((None, GRID[0] * GRID[1], 8))
    head = SequenceDecoder(len(VOCABULARY), decoder=cell, units=8, embedding=8)
    model = EncoderHead(backbone, encoder, head)
    for weight in model.weights:
        weight.assign(2.0 * weight)
    head.bias.assign(np.where(np.arange(len(VOCABULARY)) == END, 2.0, 0.0))
    return model


def smooth_image(seed: int, width: int = 60, height: int = 40, mode: str = "RGB") -> Image.Image:
    """Return a smooth image, so that formats and decoders differ little."""
    coarse = np.random.default_rng(seed).integers(0, 256, (3, 4, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC).convert(mode)


def encode(image: Image.Image, form: str = "JPEG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def png_header(width: int, height: int) -> bytes:
    """A PNG that ends where its pixels would begin."""
    size = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", size) + png_chunk(b"IDAT", b"")


def png_chunk(name: bytes, content: bytes) -> bytes:
    check = zlib.crc32(name + content)
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", check)
