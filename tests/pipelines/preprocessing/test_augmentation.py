"""Augmentation: within its limits, random, and reproducible from a seed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.inputs.tables import ImageTable
from pipelines.preprocessing.augmentation import Augmentation

ALL = Augmentation(translation=3, rotation=20.0, zoom=0.3, brightness=0.2)


def noise(count: int = 4, height: int = 16, width: int = 12) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, height, width, 3), dtype=np.uint8)


def test_translation_moves_whole_pixels_and_repeats_the_edge() -> None:
    images = noise(40)
    moved = Augmentation(translation=2).apply(images, np.random.default_rng(1))
    found = set()
    for before, after in zip(images, moved, strict=True):
        padded = np.pad(before, ((2, 2), (2, 2), (0, 0)), mode="edge")
        matches = [
            (down, right)
            for down in range(5)
            for right in range(5)
            if (padded[down : down + 16, right : right + 12] == after).all()
        ]
        assert len(matches) == 1
        found |= set(matches)
    assert len(found) > 12  # of 25


@given(
    translation=st.integers(0, 9),
    rotation=st.floats(0, 90),
    zoom=st.floats(0, 2),
    shade=st.integers(0, 255),
    seed=st.integers(0, 99),
)
@settings(max_examples=30, deadline=None)
def test_an_image_of_one_color_does_not_change(
    translation: int, rotation: float, zoom: float, shade: int, seed: int
) -> None:
    plain = np.full((2, 8, 10, 3), shade, np.uint8)
    varied = Augmentation(translation, rotation, zoom).apply(plain, np.random.default_rng(seed))
    np.testing.assert_array_equal(varied, plain)


def test_brightness_changes_within_its_limit() -> None:
    plain = np.full((200, 2, 2, 3), 100, np.uint8)
    means = (
        Augmentation(brightness=0.1).apply(plain, np.random.default_rng(0))[:, 0, 0, 0].astype(int)
    )
    assert means.min() >= 100 - 13 - 3 and means.max() <= 100 + 13 + 3
    assert len(set(means.tolist())) > 10


@pytest.mark.parametrize("side", [1, 15, 16])
def test_rotation_keeps_the_center(side: int) -> None:
    image = np.zeros((1, side, side, 3), np.uint8)
    middle = slice((side - 1) // 2, side // 2 + 1)
    image[:, middle, middle] = 255
    turned = Augmentation(rotation=180.0).apply(np.repeat(image, 5, 0), np.random.default_rng(2))
    assert (turned[:, middle, middle].mean(axis=(1, 2, 3)) > 180).all()


def test_a_table_augments_only_with_a_generator() -> None:
    images = noise()
    table = ImageTable(tuple("abcd"), images[:, np.newaxis], augmentation=ALL)
    rows = np.arange(4)
    np.testing.assert_array_equal(table.read(rows), images)
    first, again, other = (table.read(rows, np.random.default_rng(s)) for s in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any() and (first != images).any()
    np.testing.assert_array_equal(table.rows[:, 0], images)  # what is stored stays


def test_features_cannot_be_augmented() -> None:
    rows = np.ones([2, 1, 4, 3], np.float16)
    table = ImageTable(("a", "b"), rows, augmentation=ALL)
    np.testing.assert_array_equal(
        table.read(np.array([0, 1]), np.random.default_rng(0)), rows[:, 0]
    )


def test_an_augmentation_of_zeros_is_false() -> None:
    assert ALL and not Augmentation()


def test_all_frames_of_a_clip_change_alike() -> None:
    still = np.repeat(noise(1), 5, axis=0)
    frames = ALL.apply(still, np.random.default_rng(4), alike=True)
    assert (frames == frames[0]).all() and (frames[0] != still[0]).any()
    apart = ALL.apply(still, np.random.default_rng(4))
    assert len({frame.tobytes() for frame in apart}) == 5
