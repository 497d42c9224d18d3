"""Captions of synthetic scenes and clips are checked against their content."""

from __future__ import annotations

import dataclasses
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.builtin import clips, scenes
from data.builtin.caption_checker import is_true
from data.builtin.caption_parser import parse
from data.builtin.clips import MovingObject, SyntheticClip
from data.builtin.scenes import COLORS, SHAPES, Scene, SceneObject
from data.media.words import tokenize
from tests.support.paths import ROOT

any_number = st.integers(0, 10**6)
any_scene_id, any_clip_id = (
    st.builds("{}-{}-{:05d}".format, st.sampled_from(sorted(splits)), any_number, any_number)
    for splits in (scenes.SPLITS, clips.SPLITS)
)
any_example = any_scene_id.map(scenes.scene_by_id) | any_clip_id.map(clips.clip_by_id)


def example_captions(example: Scene | SyntheticClip) -> list[str]:
    if isinstance(example, SyntheticClip):
        return clips.generate_captions(example)
    return scenes.generate_captions(example)


def example_words(example: Scene | SyntheticClip) -> set[str]:
    """Return the shapes and colors in a scene or clip."""
    scene = example.scene(0) if isinstance(example, SyntheticClip) else example
    return {word for item in scene.objects for word in (item.shape, item.color)}


@given(any_example)
def test_captions_are_five_different_true_sentences(example: Scene | SyntheticClip) -> None:
    sentences = example_captions(example)
    assert len({tuple(tokenize(sentence)) for sentence in sentences}) == 5
    for sentence in sentences:
        assert is_true(sentence, example), sentence
        assert is_true(" ".join(tokenize(sentence)), example), sentence  # as decoded


OPPOSITES = {
    **{"small": "large", "little": "big", "large": "small", "big": "little"},
    **{"above": "below", "over": "under", "below": "above", "under": "over"},
    **{"left": "right", "right": "left", "top": "bottom", "bottom": "top"},
    **{"up": "down", "down": "up", "upwards": "downwards", "downwards": "upwards"},
    **{"grows": "shrinks", "shrinks": "grows", "growing": "shrinking", "shrinking": "growing"},
    **{"larger": "smaller", "smaller": "larger", "turns": "grows", "spins": "shrinks"},
    **{"meet": "part", "part": "meet", "together": "apart", "apart": "together"},
    **{"one": "two", "two": "three", "three": "one"},
}


def wrong_words(word: str, example: Scene | SyntheticClip) -> list[str]:
    """Return the words that make a true sentence false in place of `word`."""
    for names in (SHAPES, COLORS):
        if word in names:
            return sorted(set(names) - example_words(example))
    return [OPPOSITES[word]] if word in OPPOSITES else []


@given(any_example, st.data())
def test_a_caption_with_one_wrong_word_is_false(
    example: Scene | SyntheticClip, data: st.DataObject
) -> None:
    words = tokenize(data.draw(st.sampled_from(example_captions(example))))
    candidates = [index for index, word in enumerate(words) if wrong_words(word, example)]
    index = data.draw(st.sampled_from(candidates))
    words[index] = data.draw(st.sampled_from(wrong_words(words[index], example)))
    assert not is_true(" ".join(words), example), " ".join(words)


def test_the_checker_does_not_import_tensorflow() -> None:
    code = "import sys, data.builtin.caption_checker; print('tensorflow' in sys.modules)"
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert ran.stdout.strip() == "False"


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
def test_true_captions_of_a_scene(caption: str) -> None:
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
        "a circle and a circle",  # there is only one of them
        "a red circle, a red star and a red square",
        "a small red circle above a small blue square",
        "a red circle below a blue square",
        "a small star",
        "a large red circle",  # each attribute occurs, but not in the same object
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
def test_false_captions_of_a_scene(caption: str) -> None:
    assert not is_true(caption, SCENE)


def test_a_relation_holds_for_the_objects_it_names() -> None:
    swapped = Scene(
        tuple(
            dataclasses.replace(item, x=other.x, y=other.y)
            for item, other in zip(SCENE.objects, SCENE.objects[::-1], strict=True)
        ),
        SCENE.background,
        SCENE.seed,
    )
    assert is_true("a star left of a circle", swapped)
    assert not is_true("a star left of a circle", SCENE)


GRAY = ((230, 230, 230), (220, 220, 220))


def moving(shape: str, color: str, start: scenes.Pose, end: scenes.Pose) -> MovingObject:
    return MovingObject(*(SceneObject(shape, color, "large", *pose) for pose in (start, end)))


# A red star moves from the left to the blue circle, which stays on the right.
APPROACH = SyntheticClip(
    "meet",
    (
        moving("star", "red", (0.2, 0.5, 0.15, 0), (0.49, 0.5, 0.15, 0)),
        moving("circle", "blue", (0.8, 0.5, 0.15, 0), (0.8, 0.5, 0.15, 0)),
    ),
    GRAY,
    seed=0,
)
TURN = SyntheticClip(
    "turn",
    (moving("heart", "pink", (0.25, 0.25, 0.2, 0), (0.25, 0.25, 0.2, -2)),),
    GRAY,
    seed=0,
)


@pytest.mark.parametrize(
    "caption",
    [
        "a star",
        "Two things: a star and a circle.",
        "a red star moves to the right",
        "a star moves right and meets a circle",
        "the clip shows a red star going from left to right",
        "a blue circle and a red star meet",
        "there is a blue circle on the right and a red star moves towards it",
        "a circle is blue and on the right",
        "the star and the circle are coming together",
        "two shapes: a circle and a star, they meet",
        "a star that moves right meets the circle on the right side",
    ],
)
def test_true_captions_of_a_clip(caption: str) -> None:
    assert is_true(caption, APPROACH)


@pytest.mark.parametrize(
    "caption",
    [
        "",
        "a",
        "two",
        "the clip shows",
        "one thing: a star",
        "a star moves",
        "a circle moves right",
        "a star moves left",
        "a star moves up",
        "a star on the left moves right",  # it does not stay there
        "a star and a circle part",
        "a star and a star meet",
        "the star leaves the circle",
        "a star grows",
        "a star turns",
        "it moves right",
        "they meet",
        "a star, they meet",
        "a red star and a green circle meet",
        "a star moves right and is blue",
        "a star meets",
        "a star that",
        "a star is",
        "it",
        "a star and and a circle",
        "a dog meets a cat",
        "a star moves righteously",
    ],
)
def test_false_captions_of_a_clip(caption: str) -> None:
    assert not is_true(caption, APPROACH)


def test_an_object_that_turns_does_nothing_else() -> None:
    for text in ("a heart turns around", "at the top left a pink heart rotates", "it is spinning"):
        assert is_true(text.replace("it is", "a heart is"), TURN)
    for text in ("a heart grows", "a heart moves left", "a heart in the middle turns"):
        assert parse(text, moving=True) and not is_true(text, TURN)
    still = TURN.objects[0]._replace(end=TURN.objects[0].start)
    assert not is_true("a heart turns", dataclasses.replace(TURN, objects=(still,)))


def test_scenes_and_clips_have_their_own_grammar() -> None:
    assert is_true("on the right is a star", SCENE)
    assert not is_true("on the right a star", SCENE)
    assert is_true("on the right a circle", APPROACH)
    assert not is_true("a large circle", APPROACH)
    assert not is_true("the clip shows a star", SCENE)
