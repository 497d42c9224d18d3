"""Attention plots: bright at high weights."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from data.common.errors import UserError
from pipelines.reports.attention import (
    BAR,
    COLUMNS,
    GAP,
    LINE,
    TILE,
    attention_figure,
    attention_strip,
)
from tests.support.tiny.captioner import encode

GRAY = encode(Image.new("RGB", (300, 300), (128, 128, 128)))


def one_hot(*cells: tuple[int, int]) -> np.ndarray:
    attention = np.zeros([len(cells), 4, 4], np.float32)
    for word, cell in enumerate(cells):
        attention[word][cell] = 1
    return attention


def tiles(figure: Image.Image, height: int = TILE) -> list[np.ndarray]:
    """Return the tiles of a figure with square tiles."""
    columns = (figure.width - GAP) // (TILE + GAP)
    lines = (figure.height - GAP) // (height + LINE + GAP)
    corners = [
        (GAP + column * (TILE + GAP), GAP + line * (height + LINE + GAP))
        for line in range(lines)
        for column in range(columns)
    ]
    pixels = np.asarray(figure).mean(axis=-1)
    return [pixels[top : top + height, left : left + TILE] for left, top in corners]


def test_tiles_are_bright_at_high_weights() -> None:
    figure = attention_figure(GRAY, ["up", "down"], one_hot((0, 0), (3, 2)))
    plain, up, down = tiles(figure)
    assert plain.std() < 1
    brightest = [int(i) for i in np.unravel_index(up.argmax(), up.shape)]
    assert brightest < [TILE // 4, TILE // 4]
    assert up[:40, :40].mean() > 2 * up[60:, 60:].mean()
    assert down[-40:, 100:150].mean() > 2 * down[:100].mean()


def test_uniform_attention_leaves_the_image_bright() -> None:
    _, even = tiles(attention_figure(GRAY, ["even"], np.full([1, 7, 7], 1 / 49)))
    assert even.std() < 1
    assert even.mean() > 100


@pytest.mark.parametrize(("words", "lines"), [(5, 1), (6, 2), (20, 4)])
def test_tiles_wrap_into_rows(words: int, lines: int) -> None:
    attention = np.random.default_rng(0).random([words, 3, 5])
    figure = attention_figure(GRAY, ["word"] * words, attention)
    assert figure.height == lines * (TILE + LINE + GAP) + GAP
    assert figure.width <= COLUMNS * (TILE + GAP) + GAP


def test_words_of_any_script_and_length_are_below_the_tiles() -> None:
    words = ["incomprehensibilities" * 2, "кошка", "狗", ""]
    figure = attention_figure(GRAY, words, one_hot(*[(0, 0)] * 4))
    line = np.asarray(figure).mean(axis=-1)[GAP + TILE : GAP + TILE + LINE]
    dark = [
        (line[:, GAP + i * (TILE + GAP) : (i + 1) * (TILE + GAP)] < 100).any() for i in range(5)
    ]
    assert dark == [False, True, True, True, False]


def test_encoded_images_get_their_exif_orientation() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    tall = encode(Image.new("RGB", (400, 200), "red"), exif=exif.tobytes())
    figure = attention_figure(tall, ["red"], one_hot((1, 1)))
    assert figure.height == TILE + LINE + 2 * GAP
    red = np.asarray(figure)[..., 0].astype(int) - np.asarray(figure)[..., 1] > 100
    assert abs(red[:, : figure.width // 2].any(axis=0).sum() - TILE // 2) <= 2


def test_invalid_attention_is_refused() -> None:
    with pytest.raises(UserError, match="no attention"):
        attention_figure(GRAY, ["a"], np.zeros([1, 0, 0]))
    with pytest.raises(UserError, match="no words"):
        attention_figure(GRAY, [], np.zeros([0, 7, 7]))
    with pytest.raises(UserError, match=r"with 2 words, not \[1, 4, 4\]"):
        attention_figure(GRAY, ["a", "b"], one_hot((0, 0)))


def test_bars_are_below_the_frames_with_high_weights() -> None:
    frames = [GRAY] * 4
    figure = attention_strip(frames, ["up", "down"], np.eye(2, 4, k=1, dtype=np.float32))
    blue = (np.asarray(figure) == BAR).all(axis=-1)
    left = TILE // 2
    width = (figure.width - left - GAP) // 4
    for word, frame in ((0, 1), (1, 2)):
        floor = figure.height - GAP - (1 - word) * LINE
        row = blue[floor - LINE // 2]
        assert set(np.flatnonzero(row) >= left + frame * width) == {True}
        assert set(np.flatnonzero(row) < left + (frame + 1) * width) == {True}
    with pytest.raises(UserError, match=r"2 words and 4 frames, not \[1, 4\]"):
        attention_strip(frames, ["up", "down"], np.zeros([1, 4]))
    with pytest.raises(UserError, match="nothing to plot"):
        attention_strip([], ["up"], np.zeros([1, 0]))
