from __future__ import annotations

import dataclasses
import itertools
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.builtin.scene_checker import APART, is_true
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
from data.common.errors import UserError
from data.media.vocabulary import tokenize
from tests.support.paths import ROOT

settings.register_profile("synthetic-scenes", deadline=None)  # a busy machine is no failure
settings.load_profile("synthetic-scenes")

any_scene = st.builds(
    lambda split, seed, index: scene_by_id(f"{split}-{seed}-{index:05d}"),
    st.sampled_from(sorted(SPLITS)),
    st.integers(0, 10**6),
    st.integers(0, 10**6),
)


def kinds(scene: Scene) -> set[tuple[str, str]]:
    return {(thing.shape, thing.color) for thing in scene.things}


@pytest.fixture(scope="module")
def splits() -> dict[str, list[Scene]]:
    return {split: [scene for _, scene in synthetic_scenes(split)] for split in SPLITS}


def test_no_scene_is_in_two_splits(splits: dict[str, list[Scene]]) -> None:
    contents = {split: {scene.content() for scene in splits[split]} for split in SPLITS}
    for one, two in itertools.combinations(SPLITS, 2):
        assert not contents[one] & contents[two], (one, two)


def test_another_seed_does_not_leak_either(splits: dict[str, list[Scene]]) -> None:
    seen = {scene.content() for scene in splits["train"]}
    assert not seen & {scene.content() for _, scene in synthetic_scenes("test", seed=1)}


def test_held_out_combinations_are_in_unseen_only(splits: dict[str, list[Scene]]) -> None:
    for split in ("train", "validation", "test"):
        assert all(not kinds(scene) & HELD_OUT for scene in splits[split])
    assert all(kinds(scene) & HELD_OUT for scene in splits["unseen"])
    assert set.union(*map(kinds, splits["unseen"])) >= HELD_OUT


def test_each_shape_misses_one_color_and_every_word_is_common_in_training(
    splits: dict[str, list[Scene]],
) -> None:
    assert sorted(shape for shape, _ in HELD_OUT) == sorted(SHAPES)
    assert len({color for _, color in HELD_OUT}) == len(HELD_OUT)
    things = [thing for scene in splits["train"] for thing in scene.things]
    for word in (*SHAPES, *COLORS):
        assert sum(word in (t.shape, t.color) for t in things) > 0.8 * len(things) / 8, word


def test_scenes_of_two_things_hardly_repeat(splits: dict[str, list[Scene]]) -> None:
    for split, count in SPLITS.items():
        assert len(splits[split]) == count
        pairs = [scene.content() for scene in splits[split] if len(scene.things) == 2]
        assert len(set(pairs)) > 0.9 * len(pairs) > 0.3 * count


def test_a_shorter_split_is_the_beginning_of_a_longer_one() -> None:
    assert list(synthetic_scenes("test", 3)) == list(synthetic_scenes("test", 5))[:3]
    assert [scene_id for scene_id, _ in synthetic_scenes("train", 1, seed=7)] == ["train-7-00000"]


@given(any_scene)
def test_things_lie_apart_inside_and_in_clear_zones(scene: Scene) -> None:
    for thing in scene.things:
        assert thing.radius <= min(thing.x, thing.y, 1 - thing.x, 1 - thing.y)
        assert SIZES[thing.size][0] <= thing.radius <= SIZES[thing.size][1]
        for center in (thing.x, thing.y):
            assert min(abs(center - 1 / 3), abs(center - 2 / 3)) > 0.07
    for one, two in itertools.combinations(scene.things, 2):
        assert np.hypot(one.x - two.x, one.y - two.y) > one.radius + two.radius
        for distance in (abs(one.x - two.x), abs(one.y - two.y)):
            assert not APART - 0.05 < distance < APART + 0.05  # no relation is a matter of taste


@given(any_scene)
def test_captions_are_five_different_true_sentences(scene: Scene) -> None:
    sentences = generate_captions(scene)
    assert len({tuple(tokenize(sentence)) for sentence in sentences}) == 5
    for sentence in sentences:
        assert is_true(sentence, scene), sentence
        assert is_true(" ".join(tokenize(sentence)), scene), sentence  # as a decoder writes it


def test_the_vocabulary_is_small(splits: dict[str, list[Scene]]) -> None:
    words = {
        word for s in splits["train"] for text in generate_captions(s) for word in tokenize(text)
    }
    unseen = {
        word for s in splits["unseen"] for text in generate_captions(s) for word in tokenize(text)
    }
    assert len(words) < 60
    assert unseen <= words


def test_pictures_and_captions_are_the_same_everywhere() -> None:
    code = (
        "import hashlib; from data.builtin.scenes import *\n"
        "digest = hashlib.sha256()\n"
        "for scene_id, scene in synthetic_scenes('train', 20):\n"
        "    digest.update(render(scene).tobytes() + scene.content().encode())\n"
        "    digest.update('|'.join([scene_id, *generate_captions(scene)]).encode())\n"
        "print(digest.hexdigest()[:16])"
    )
    root = ROOT
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True
    )
    assert ran.stdout.strip() == "6f93344203132b1c"


def test_importing_scenes_does_not_import_tensorflow() -> None:
    code = (
        "import sys, data.builtin.scenes, data.builtin.scene_checker; "
        "print('tensorflow' in sys.modules)"
    )
    root = ROOT
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True
    )
    assert ran.stdout.strip() == "False"


@given(any_scene)
def test_the_picture_shows_each_thing_in_its_color(scene: Scene) -> None:
    picture = render(scene).astype(int)
    assert picture.shape == (64, 64, 3)
    for thing in scene.things:
        pixel = picture[int(64 * thing.y), int(64 * thing.x)]
        distance = {name: np.abs(pixel - rgb).max() for name, rgb in COLORS.items()}
        assert distance[thing.color] <= 8
        assert min(distance, key=lambda name: distance[name]) == thing.color


@given(any_scene)
def test_nothing_is_painted_outside_the_things(scene: Scene) -> None:
    y, x = (np.indices((64, 64)) + 0.5) / 64
    free = np.ones((64, 64), bool)
    for thing in scene.things:
        free &= np.hypot(x - thing.x, y - thing.y) > thing.radius + 1.5 / 64
    bare = render(dataclasses.replace(scene, things=()))
    assert np.array_equal(render(scene)[free], bare[free])


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("size", SIZES)
def test_a_large_picture_is_the_small_one_in_more_detail(shape: str, size: str) -> None:
    thing = SceneObject(shape, "red", size, 0.5, 0.5, sum(SIZES[size]) / 2, 0.1)
    scene = Scene((thing,), ((200, 200, 200), (200, 200, 200)), seed=1)
    large = render(scene, 256).astype(float).reshape(64, 4, 64, 4, 3).mean((1, 3))
    assert np.abs(large - render(scene)).mean() < 5


# A small red circle above a large blue square, and a large red star at the right.
SCENE = Scene(
    (
        SceneObject("circle", "red", "small", 0.2, 0.2, 0.09, 0.0),
        SceneObject("square", "blue", "large", 0.24, 0.79, 0.16, 0.0),
        SceneObject("star", "red", "large", 0.8, 0.5, 0.16, 0.0),
    ),
    ((230, 230, 230), (220, 220, 220)),
    seed=0,
)


@pytest.mark.parametrize(
    "caption",
    [
        "a circle",
        "A red circle.",
        "three things",
        "there are three shapes: a star, a square and a circle",
        "a small red circle above a large blue square",
        "the little circle is red and over the square",
        "a star, it is big and red and on the right",
        "a star at the right with a circle to the left of it",
        "on the right is a star and at the bottom left there is a square",
        "above a blue square there is a small circle",
        "a circle in the top left corner and a blue square at the bottom",
        "the square is below the circle and left of the star",
        "a circle above a square left of a star",  # the square is left of the star
        "the picture shows a large star right of a circle, and a square",
        "a red circle is at the top left and on the left",
    ],
)
def test_true_sentences(caption: str) -> None:
    assert is_true(caption, SCENE)


@pytest.mark.parametrize(
    "caption",
    [
        "",
        "a",
        "and",
        "two things: a star and a circle",
        "a green circle",
        "a large circle",
        "a red square",
        "a circle and a circle",  # there is only one
        "a red circle, a red star and a red square",
        "a small red circle above a small blue square",
        "a red circle below a blue square",
        "a small star",
        "a large red circle",  # large, red and circle are all there, but not in one thing
        "a circle left of a square",  # hardly
        "a star in the centre",
        "a circle on the right and a star at the top left",
        "a circle right of it",
        "it is red",
        "a star, it is small",
        "a red blue circle",
        "a red circle a",
        "a red circle above",
        "circle red a",
        "a dog on a lawn",
        "a starfish",
        "a circle in the corner",
        "a red circle is",
        "a red circle and and a star",
    ],
)
def test_false_sentences(caption: str) -> None:
    assert not is_true(caption, SCENE)


OPPOSITES = {
    **{"small": "large", "little": "big", "large": "small", "big": "little"},
    **{"above": "below", "over": "under", "below": "above", "under": "over"},
    **{"left": "right", "right": "left", "top": "bottom", "bottom": "top"},
    **{"one": "two", "two": "three", "three": "one"},
}


@given(any_scene, st.data())
def test_a_caption_with_one_wrong_word_is_false(scene: Scene, data: st.DataObject) -> None:
    words = tokenize(data.draw(st.sampled_from(generate_captions(scene))))
    shown = {word for thing in scene.things for word in (thing.shape, thing.color)}
    at = data.draw(st.sampled_from([i for i, word in enumerate(words) if _wrong(word, shown)]))
    words[at] = data.draw(st.sampled_from(_wrong(words[at], shown)))
    assert not is_true(" ".join(words), scene), " ".join(words)


def _wrong(word: str, shown: set[str]) -> list[str]:
    """Return the words that make a true sentence false in place of `word`."""
    for names in (SHAPES, COLORS):
        if word in names:
            return sorted(set(names) - shown)
    return [OPPOSITES[word]] if word in OPPOSITES else []


def test_relations_bind_to_things_and_not_to_the_picture() -> None:
    swapped = Scene(
        tuple(
            dataclasses.replace(thing, x=other.x, y=other.y)
            for thing, other in zip(SCENE.things, SCENE.things[::-1], strict=True)
        ),
        SCENE.background,
        SCENE.seed,
    )
    assert is_true("a star left of a circle", swapped)
    assert not is_true("a star left of a circle", SCENE)


def test_zones_are_named_as_they_lie() -> None:
    for (row, y), (column, x) in itertools.product(
        zip(ROWS, (0.2, 0.5, 0.8), strict=True), zip(COLUMNS, (0.2, 0.5, 0.8), strict=True)
    ):
        thing = SceneObject("star", "red", "small", x, y, 0.09, 0.0)
        assert (thing.row, thing.column) == (row, column)


@pytest.mark.parametrize("scene_id", ["", "test", "test-0", "exam-0-00001", "test-0-1"])
def test_a_wrong_id_is_named(scene_id: str) -> None:
    with pytest.raises(UserError, match="SPLIT-SEED-INDEX"):
        scene_by_id(scene_id)


def test_a_wrong_split_is_named() -> None:
    with pytest.raises(UserError, match="did you mean 'validation'"):
        next(synthetic_scenes("validaton"))
