"""Synthetic scenes: reproducible, in separate splits, with unambiguous places."""

from __future__ import annotations

import dataclasses
import itertools
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.builtin.caption_checker import APART
from data.builtin.scenes import (
    COLORS,
    COLUMNS,
    HELD_OUT,
    ROWS,
    SHAPES,
    SIZES,
    SPLITS,
    Scene,
    SceneObject,
    generate_captions,
    render,
    scene_by_id,
    synthetic_scenes,
)
from data.media.words import tokenize
from tests.support.paths import ROOT

settings.register_profile("synthetic-scenes", deadline=None)  # a busy machine is no failure
settings.load_profile("synthetic-scenes")

any_scene = st.builds(
    lambda split, seed, index: scene_by_id(f"{split}-{seed}-{index:05d}"),
    st.sampled_from(sorted(SPLITS)),
    st.integers(0, 10**6),
    st.integers(0, 10**6),
)


def combinations(scene: Scene) -> set[tuple[str, str]]:
    return {(item.shape, item.color) for item in scene.objects}


@pytest.fixture(scope="module")
def splits() -> dict[str, list[Scene]]:
    return {split: [scene for _, scene in synthetic_scenes(split)] for split in SPLITS}


def test_no_scene_is_in_two_splits(splits: dict[str, list[Scene]]) -> None:
    contents = {split: {scene.content() for scene in splits[split]} for split in SPLITS}
    for one, two in itertools.combinations(SPLITS, 2):
        assert not contents[one] & contents[two], (one, two)


def test_splits_of_different_seeds_share_no_scene(splits: dict[str, list[Scene]]) -> None:
    train = {scene.content() for scene in splits["train"]}
    assert not train & {scene.content() for _, scene in synthetic_scenes("test", seed=1)}


def test_held_out_combinations_are_in_unseen_only(splits: dict[str, list[Scene]]) -> None:
    for split in ("train", "validation", "test"):
        assert all(not combinations(scene) & HELD_OUT for scene in splits[split])
    assert all(combinations(scene) & HELD_OUT for scene in splits["unseen"])
    assert set.union(*map(combinations, splits["unseen"])) >= HELD_OUT


def test_every_shape_and_color_is_common_in_training(
    splits: dict[str, list[Scene]],
) -> None:
    assert sorted(shape for shape, _ in HELD_OUT) == sorted(SHAPES)
    assert len({color for _, color in HELD_OUT}) == len(HELD_OUT)
    items = [item for scene in splits["train"] for item in scene.objects]
    for word in (*SHAPES, *COLORS):
        assert sum(word in (t.shape, t.color) for t in items) > 0.8 * len(items) / 8, word


def test_scenes_of_two_objects_rarely_repeat(splits: dict[str, list[Scene]]) -> None:
    for split, count in SPLITS.items():
        assert len(splits[split]) == count
        pairs = [scene.content() for scene in splits[split] if len(scene.objects) == 2]
        assert len(set(pairs)) > 0.9 * len(pairs) > 0.3 * count


def test_an_id_contains_split_seed_and_index() -> None:
    assert next(synthetic_scenes("train", seed=7))[0] == "train-7-00000"


@given(any_scene)
def test_objects_are_apart_inside_the_image_and_in_clear_zones(scene: Scene) -> None:
    for item in scene.objects:
        assert item.radius <= min(item.x, item.y, 1 - item.x, 1 - item.y)
        assert SIZES[item.size][0] <= item.radius <= SIZES[item.size][1]
        for center in (item.x, item.y):
            assert min(abs(center - 1 / 3), abs(center - 2 / 3)) > 0.07
    for one, two in itertools.combinations(scene.objects, 2):
        assert np.hypot(one.x - two.x, one.y - two.y) > one.radius + two.radius
        for distance in (abs(one.x - two.x), abs(one.y - two.y)):
            assert not APART - 0.05 < distance < APART + 0.05  # no relation is ambiguous


def test_the_vocabulary_is_small(splits: dict[str, list[Scene]]) -> None:
    words = {
        word for s in splits["train"] for text in generate_captions(s) for word in tokenize(text)
    }
    unseen = {
        word for s in splits["unseen"] for text in generate_captions(s) for word in tokenize(text)
    }
    assert len(words) < 60
    assert unseen <= words


def test_images_and_captions_depend_on_the_seed_only() -> None:
    code = (
        "import hashlib; from data.builtin.scenes import *\n"
        "digest = hashlib.sha256()\n"
        "for scene_id, scene in itertools.islice(synthetic_scenes('train'), 20):\n"
        "    digest.update(render(scene).tobytes() + scene.content().encode())\n"
        "    digest.update('|'.join([scene_id, *generate_captions(scene)]).encode())\n"
        "print(digest.hexdigest()[:16])"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert ran.stdout.strip() == "6f93344203132b1c"


@given(any_scene)
def test_the_image_has_each_object_in_its_color(scene: Scene) -> None:
    image = render(scene).astype(int)
    assert image.shape == (64, 64, 3)
    for item in scene.objects:
        pixel = image[int(64 * item.y), int(64 * item.x)]
        distance = {name: np.abs(pixel - rgb).max() for name, rgb in COLORS.items()}
        assert distance[item.color] <= 8
        assert min(distance, key=lambda name: distance[name]) == item.color


@given(any_scene)
def test_pixels_outside_the_objects_are_background(scene: Scene) -> None:
    y, x = (np.indices((64, 64)) + 0.5) / 64
    free = np.ones((64, 64), bool)
    for item in scene.objects:
        free &= np.hypot(x - item.x, y - item.y) > item.radius + 1.5 / 64
    bare = render(dataclasses.replace(scene, objects=()))
    assert np.array_equal(render(scene)[free], bare[free])


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("size", SIZES)
def test_a_large_image_is_the_small_one_in_more_detail(shape: str, size: str) -> None:
    item = SceneObject(shape, "red", size, 0.5, 0.5, sum(SIZES[size]) / 2, 0.1)
    scene = Scene((item,), ((200, 200, 200), (200, 200, 200)), seed=1)
    large = render(scene, 256).astype(float).reshape(64, 4, 64, 4, 3).mean((1, 3))
    assert np.abs(large - render(scene)).mean() < 5


def test_rows_and_columns_have_names() -> None:
    for (row, y), (column, x) in itertools.product(
        zip(ROWS, (0.2, 0.5, 0.8), strict=True), zip(COLUMNS, (0.2, 0.5, 0.8), strict=True)
    ):
        item = SceneObject("star", "red", "small", x, y, 0.09, 0.0)
        assert (item.row, item.column) == (row, column)
