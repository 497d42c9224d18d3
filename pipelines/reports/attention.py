"""Plots of the attention weights for each word of a prediction."""

from __future__ import annotations

import functools
import io
import math
from collections.abc import Sequence
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.font_manager import findSystemFonts
from matplotlib.ft2font import FT2Font
from PIL import Image, ImageDraw, ImageFont, ImageOps

from data.common.errors import UserError
from data.media.images import load_image
from pipelines.reports.thumbnails import strip

TILE = 200  # pixels, the longer side of a tile
COLUMNS = 6  # tiles per row, at most
CELL = 30  # pixels, a side of a cell of an alignment
BAR = (42, 91, 215)  # color of bars, and of a cell of weight 1
GAP, LINE = 12, 30  # pixels between tiles, and for the word below a tile
FONT_SIZES = range(18, 8, -1)  # the largest that fits is used
MAX_WIDTH = 1400  # pixels, of a strip of frames with its words
HIGHLIGHT = (255, 170, 60)  # tint of high weights, visible on gray images too


def attention_figure(image: bytes, words: Sequence[str], attention: np.ndarray) -> Image.Image:
    """Plot attention over an image: the image, then one tile per word, bright at high weights.

    The weights of each word are relative to its highest.

    Args:
        image: encoded; its EXIF orientation is applied.
        words: of the caption, each below its tile.
        attention: float `[words, rows, columns]`, not negative.

    Raises:
        UserError: if there is no attention, or not one grid per word.
    """
    expected = f"[words, rows, columns] with {len(words)} words"
    _check(attention, attention.ndim == 3 and len(attention) == len(words), expected)
    whole = Image.open(io.BytesIO(load_image(image))).convert("RGB")
    tile_image = ImageOps.contain(whole, (TILE, TILE))
    tiles = [tile_image, *(_highlight(tile_image, weights) for weights in attention)]
    lines = math.ceil(len(tiles) / COLUMNS)
    columns = math.ceil(len(tiles) / lines)  # rows of nearly equal length
    width, height = max(tile_image.width, TILE // 2) + GAP, tile_image.height + LINE + GAP
    figure = Image.new("RGB", (columns * width + GAP, lines * height + GAP), "white")
    draw = ImageDraw.Draw(figure)
    for index, (tile, word) in enumerate(zip(tiles, ["", *words], strict=True)):
        left, top = GAP + index % columns * width, GAP + index // columns * height
        middle = left + (width - GAP) // 2
        figure.paste(tile, (middle - tile.width // 2, top))
        baseline = top + tile.height + LINE // 2 + 2
        draw.text((middle, baseline), word, "black", _font(word, width - GAP), anchor="mm")
    return figure


def attention_strip(
    frames: Sequence[bytes], words: Sequence[str], attention: np.ndarray
) -> Image.Image:
    """Plot attention over the frames of a clip: below them, one bar per frame for each word.

    The weights of each word are relative to its highest.

    Args:
        frames: encoded; of many, evenly spaced ones are drawn.
        words: of the caption.
        attention: float `[words, frames]`, not negative.

    Raises:
        UserError: if there is no attention, or not `[words, frames]`.
    """
    expected = f"[words, frames] with {len(words)} words and {len(frames)} frames"
    _check(attention, attention.shape == (len(words), len(frames)), expected)
    whole = Image.open(io.BytesIO(strip(frames)))
    band = ImageOps.contain(whole, (MAX_WIDTH - TILE, TILE))
    margin = TILE // 2
    size = (margin + band.width + GAP, band.height + 2 * GAP + len(words) * LINE)
    figure = Image.new("RGB", size, "white")
    figure.paste(band, (margin, GAP))
    draw = ImageDraw.Draw(figure)
    step = band.width / len(frames)
    for row, (word, weights) in enumerate(zip(words, attention, strict=True), 1):
        floor = band.height + GAP + row * LINE
        draw.text((margin - 6, floor), word, "black", _font(word, margin - GAP), anchor="rb")
        heights = (LINE - 6) * weights / max(weights.max(), 1e-9)
        for number, height in enumerate(heights):
            left, right = (margin + (number + side) * step for side in (0.1, 0.9))
            draw.rectangle((left, floor - height, right, floor), fill=BAR)
    return figure


def alignment_figure(
    source_words: Sequence[str], words: Sequence[str], attention: np.ndarray
) -> Image.Image:
    """Plot attention over source words (columns) for each generated word (rows).

    Args:
        source_words: the words that the model read.
        words: the words that it generated.
        attention: float `[words, source words]`; each row sums to 1.

    Raises:
        UserError: if there is no attention, or not one row per word.
    """
    expected = f"[{len(words)} words, {len(source_words)} words]"
    _check(attention, attention.shape == (len(words), len(source_words)), expected, "text")
    above, beside = [_label(word) for word in source_words], [_label(word) for word in words]
    top = max(label.width for label in above) + 2 * GAP
    left = max(label.width for label in beside) + 2 * GAP
    figure = Image.new(
        "RGB", (left + CELL * len(source_words) + GAP, top + CELL * len(words) + GAP), "white"
    )
    for column, label in enumerate(above):
        upright = label.rotate(90, expand=True)
        middle = left + column * CELL + (CELL - upright.width) // 2
        figure.paste(upright, (middle, top - GAP - upright.height))
    draw = ImageDraw.Draw(figure)
    for row, label in enumerate(beside):
        y = top + row * CELL
        figure.paste(label, (left - GAP - label.width, y + (CELL - label.height) // 2))
        for column, share in enumerate(attention[row].clip(0, 1)):
            x = left + column * CELL
            color = tuple(round(255 + float(share) * (part - 255)) for part in BAR)
            draw.rectangle((x, y, x + CELL - 2, y + CELL - 2), color, outline=(225, 228, 235))
    return figure


def _label(word: str) -> Image.Image:
    """Draw a word in black on white."""
    font = ImageFont.truetype(_font_file(word), 16)
    label = Image.new("RGB", (max(1, round(font.getlength(word))), 22), "white")
    ImageDraw.Draw(label).text((0, 11), word, "black", font, anchor="lm")
    return label


def _check(attention: np.ndarray, fits: bool, expected: str, input_name: str = "caption") -> None:
    """Raise a UserError if there is nothing to plot, or the shape does not fit."""
    if not attention.size:
        raise UserError(
            f"nothing to plot: the model has no attention, or the {input_name} has no words"
        )
    if not fits:
        raise UserError(f"attention is {expected}, not {list(attention.shape)}")


def _highlight(image: Image.Image, weights: np.ndarray) -> Image.Image:
    """Dim an image and remove its color except where the weights `[rows, columns]` are high."""
    grid = Image.fromarray(weights.astype(np.float32))
    light = np.asarray(grid.resize(image.size, Image.Resampling.BICUBIC)).clip(0)
    light = light[..., np.newaxis] / max(light.max(), 1e-9)
    pixels = np.asarray(image, np.float32)
    dim = 0.35 * pixels.mean(axis=-1, keepdims=True)
    bright = 0.75 * pixels + 0.25 * np.array(HIGHLIGHT)
    return Image.fromarray((dim + light * (bright - dim)).astype(np.uint8))


def _font(word: str, width: int) -> ImageFont.FreeTypeFont:
    """Return a font with the word's letters, in a size that fits the width."""
    path = _font_file(word)
    for size in FONT_SIZES:
        font = ImageFont.truetype(path, size)
        if font.getlength(word) <= width:
            break
    return font


@functools.cache
def _font_file(word: str) -> str:
    """Return matplotlib's font, or the first installed font with letters that it lacks."""
    own = str(Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf"))
    if _has(own, word):
        return own
    return next((path for path in sorted(findSystemFonts()) if _has(path, word)), own)


def _has(path: str, word: str) -> bool:
    try:
        letters = FT2Font(path).get_charmap()
    except RuntimeError:  # a format that FreeType does not read
        return False
    return all(ord(letter) in letters for letter in word)
