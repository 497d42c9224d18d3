"""Where the model looked for each word, as a picture."""

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

TILE = 200  # pixels of a copy's longer side
COLUMNS = 6  # copies beside each other, at most
CELL = 30  # pixels a side of a field, in an alignment
BLUE = (42, 91, 215)  # of a word that is looked at alone
GAP, LINE = 12, 30  # pixels between copies, and for the word beneath one
FONT_SIZES = range(18, 8, -1)  # the largest in which a word fits
WIDEST = 1400  # pixels of a strip of frames with its words
BAR = (42, 91, 215)
WARM = (255, 170, 60)  # a tint of what is looked at, to be seen on grey pictures as well


def attention_figure(
    picture: Image.Image | bytes, words: Sequence[str], attention: np.ndarray
) -> Image.Image:
    """Draw the picture, then a copy a word, lit where the model looked for that word.

    Each word's attention is shown relative to its own highest.

    Args:
        picture: an image or an encoded one; drawn upright.
        words: of the caption.
        attention: float `[words, rows, columns]`, not negative.

    Returns:
        An RGB image, rows of at most `COLUMNS` copies, each with its word beneath.

    Raises:
        UserError: if there is no attention, or not one grid a word.
    """
    if attention.ndim != 3 or len(attention) != len(words):
        raise UserError(
            f"attention is [words, rows, columns] with {len(words)} words, not "
            f"{list(attention.shape)}"
        )
    if not attention.size:
        raise UserError("nothing to draw: this model has no attention, or the caption no words")
    small = ImageOps.contain(_upright(picture), (TILE, TILE))
    tiles = [small, *(_lit(small, weights) for weights in attention)]
    lines = math.ceil(len(tiles) / COLUMNS)
    columns = math.ceil(len(tiles) / lines)  # lines of nearly equal length
    width, height = max(small.width, TILE // 2) + GAP, small.height + LINE + GAP
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
    """Draw the frames of a clip, and beneath them for each word a bar a frame.

    Each word's attention is shown relative to its own highest.

    Args:
        frames: encoded; of many, some are drawn.
        words: of the caption.
        attention: float `[words, frames]`, not negative.

    Returns:
        An RGB image, at most `WIDEST` pixels wide.

    Raises:
        UserError: if there is no attention, or not one row a word and one bar a frame.
    """
    if attention.shape != (len(words), len(frames)):
        raise UserError(
            f"attention is [words, frames] with {len(words)} words and {len(frames)} frames, not "
            f"{list(attention.shape)}"
        )
    if not attention.size:
        raise UserError("nothing to draw: this model has no attention, or the caption no words")
    whole = Image.open(io.BytesIO(strip(frames)))
    band = ImageOps.contain(whole, (WIDEST - TILE, TILE))
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
    read: Sequence[str], words: Sequence[str], attention: np.ndarray
) -> Image.Image:
    """Draw a field for each word read (across) and each word said (down), blue where it looked.

    Args:
        read: the words that the model read.
        words: those that it said.
        attention: float `[words, read]`, each row a share of 1.

    Returns:
        An RGB image.

    Raises:
        UserError: if there is no attention, or not one row a word.
    """
    if not attention.size:
        raise UserError("nothing to draw: this model has no attention, or the answer no words")
    if attention.shape != (len(words), len(read)):
        raise UserError(
            f"attention is [{len(words)} words, {len(read)} words], not {list(attention.shape)}"
        )
    above, beside = [_label(word) for word in read], [_label(word) for word in words]
    top = max(label.width for label in above) + 2 * GAP
    left = max(label.width for label in beside) + 2 * GAP
    figure = Image.new(
        "RGB", (left + CELL * len(read) + GAP, top + CELL * len(words) + GAP), "white"
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
            colour = tuple(round(255 + float(share) * (part - 255)) for part in BLUE)
            draw.rectangle((x, y, x + CELL - 2, y + CELL - 2), colour, outline=(225, 228, 235))
    return figure


def _label(word: str) -> Image.Image:
    """Write a word in black on white."""
    font = ImageFont.truetype(_font_file(word), 16)
    label = Image.new("RGB", (max(1, round(font.getlength(word))), 22), "white")
    ImageDraw.Draw(label).text((0, 11), word, "black", font, anchor="lm")
    return label


def _upright(picture: Image.Image | bytes) -> Image.Image:
    if isinstance(picture, bytes):
        picture = Image.open(io.BytesIO(load_image(picture).jpeg))
    return ImageOps.exif_transpose(picture).convert("RGB")


def _lit(picture: Image.Image, weights: np.ndarray) -> Image.Image:
    """Grey and dim a picture except where the weights `[rows, columns]` are high."""
    grid = Image.fromarray(weights.astype(np.float32))
    light = np.asarray(grid.resize(picture.size, Image.Resampling.BICUBIC)).clip(0)
    light = light[..., np.newaxis] / max(light.max(), 1e-9)
    pixels = np.asarray(picture, np.float32)
    dim = 0.35 * pixels.mean(axis=-1, keepdims=True)
    bright = 0.75 * pixels + 0.25 * np.array(WARM)
    return Image.fromarray((dim + light * (bright - dim)).astype(np.uint8))


def _font(word: str, width: int) -> ImageFont.FreeTypeFont:
    """Return a font that has the word's letters, in a size in which it fits the width."""
    path = _font_file(word)
    for size in FONT_SIZES:
        font = ImageFont.truetype(path, size)
        if font.getlength(word) <= width:
            break
    return font


@functools.cache
def _font_file(word: str) -> str:
    """Return matplotlib's own font, or for letters that it lacks the first on this machine."""
    own = str(Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf"))
    if _has(own, word):
        return own
    return next((path for path in sorted(findSystemFonts()) if _has(path, word)), own)


def _has(path: str, word: str) -> bool:
    try:
        letters = FT2Font(path).get_charmap()
    except RuntimeError:  # a format that only other programs read
        return False
    return all(ord(letter) in letters for letter in word)
