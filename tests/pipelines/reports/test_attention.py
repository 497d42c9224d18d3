"""The picture of attention: a copy a word, lit where the model looked."""

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
from tests.support.tiny_captioner import encode

GREY = Image.new("RGB", (300, 300), (128, 128, 128))


def looks(*cells: tuple[int, int]) -> np.ndarray:
    attention = np.zeros([len(cells), 4, 4], np.float32)
    for word, cell in enumerate(cells):
        attention[word][cell] = 1
    return attention


def tiles(figure: Image.Image, height: int = TILE) -> list[np.ndarray]:
    """The copies in a figure of square ones."""
    columns = (figure.width - GAP) // (TILE + GAP)
    lines = (figure.height - GAP) // (height + LINE + GAP)
    corners = [
        (GAP + column * (TILE + GAP), GAP + line * (height + LINE + GAP))
        for line in range(lines)
        for column in range(columns)
    ]
    pixels = np.asarray(figure).mean(axis=-1)
    return [pixels[top : top + height, left : left + TILE] for left, top in corners]


def test_each_word_is_lit_where_the_model_looked() -> None:
    figure = attention_figure(GREY, ["up", "down"], looks((0, 0), (3, 2)))
    plain, up, down = tiles(figure)
    assert plain.std() < 1
    brightest = [int(i) for i in np.unravel_index(up.argmax(), up.shape)]
    assert brightest < [TILE // 4, TILE // 4]
    assert up[:40, :40].mean() > 2 * up[60:, 60:].mean()
    assert down[-40:, 100:150].mean() > 2 * down[:100].mean()


def test_even_attention_leaves_all_lit() -> None:
    _, even = tiles(attention_figure(GREY, ["even"], np.full([1, 7, 7], 1 / 49)))
    assert even.std() < 1
    assert even.mean() > 100


@pytest.mark.parametrize(("words", "lines"), [(5, 1), (6, 2), (20, 4)])
def test_rows_wrap(words: int, lines: int) -> None:
    attention = np.random.default_rng(0).random([words, 3, 5])
    figure = attention_figure(GREY, ["word"] * words, attention)
    assert figure.height == lines * (TILE + LINE + GAP) + GAP
    assert figure.width <= COLUMNS * (TILE + GAP) + GAP


def test_words_stand_beneath_in_any_script_and_length() -> None:
    words = ["incomprehensibilities" * 2, "кошка", "狗", ""]
    figure = attention_figure(GREY, words, looks(*[(0, 0)] * 4))
    line = np.asarray(figure).mean(axis=-1)[GAP + TILE : GAP + TILE + LINE]
    dark = [
        (line[:, GAP + i * (TILE + GAP) : (i + 1) * (TILE + GAP)] < 100).any() for i in range(5)
    ]
    assert dark == [False, True, True, True, False]


def test_bytes_are_drawn_upright_and_in_proportion() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    tall = encode(Image.new("RGB", (400, 200), "red"), exif=exif.tobytes())
    figure = attention_figure(tall, ["red"], looks((1, 1)))
    assert figure.height == TILE + LINE + 2 * GAP
    red = np.asarray(figure)[..., 0].astype(int) - np.asarray(figure)[..., 1] > 100
    assert abs(red[:, : figure.width // 2].any(axis=0).sum() - TILE // 2) <= 2


def test_what_cannot_be_drawn_is_said() -> None:
    with pytest.raises(UserError, match="no attention"):
        attention_figure(GREY, ["a"], np.zeros([1, 0, 0]))
    with pytest.raises(UserError, match="no words"):
        attention_figure(GREY, [], np.zeros([0, 7, 7]))
    with pytest.raises(UserError, match=r"with 2 words, not \[1, 4, 4\]"):
        attention_figure(GREY, ["a", "b"], looks((0, 0)))


def test_each_word_has_its_bar_under_the_frame_it_looked_at() -> None:
    frames = [encode(GREY)] * 4
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
    with pytest.raises(UserError, match="nothing to draw"):
        attention_strip([], ["up"], np.zeros([1, 0]))
