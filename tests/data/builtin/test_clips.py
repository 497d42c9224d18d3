from __future__ import annotations

import dataclasses
import itertools
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.builtin.clip_checker import is_true, parse
from data.builtin.clips import (
    ACTIONS,
    FRAMES,
    SPLITS,
    Actor,
    Pose,
    SyntheticClip,
    clip_by_id,
    generate_captions,
    render,
    synthetic_clips,
)
from data.builtin.scenes import COLORS, SHAPES
from data.common.errors import UserError
from data.media.vocabulary import tokenize
from tests.support.paths import ROOT

settings.register_profile("drawn clips", deadline=None)  # a busy machine is no failure
settings.load_profile("drawn clips")


any_clip = st.builds(
    lambda split, seed, index: clip_by_id(f"{split}-{seed}-{index:05d}"),
    st.sampled_from(sorted(SPLITS)),
    st.integers(0, 10**6),
    st.integers(0, 10**6),
)


@pytest.fixture(scope="module")
def splits() -> dict[str, list[SyntheticClip]]:
    return {split: [clip for _, clip in synthetic_clips(split)] for split in SPLITS}


def test_no_clip_is_in_two_splits(splits: dict[str, list[SyntheticClip]]) -> None:
    contents = {split: {clip.content() for clip in splits[split]} for split in SPLITS}
    for one, two in itertools.combinations(SPLITS, 2):
        assert not contents[one] & contents[two], (one, two)


def test_another_seed_does_not_leak_either(splits: dict[str, list[SyntheticClip]]) -> None:
    seen = {clip.content() for clip in splits["train"]}
    assert not seen & {clip.content() for _, clip in synthetic_clips("test", seed=1)}


def test_every_action_is_as_frequent_as_the_others(splits: dict[str, list[SyntheticClip]]) -> None:
    for split, count in SPLITS.items():
        counts = Counter(clip.action for clip in splits[split])
        assert set(counts) == set(ACTIONS)
        assert min(counts.values()) > 0.6 * count / len(ACTIONS)


def test_every_word_is_common_in_training(splits: dict[str, list[SyntheticClip]]) -> None:
    actors = [actor for clip in splits["train"] for actor in clip.actors]
    for word in (*SHAPES, *COLORS):
        assert sum(word in (a.shape, a.color) for a in actors) > 0.8 * len(actors) / 8, word
    words = Counter(
        word
        for c in splits["train"]
        for text in generate_captions(c)
        for word in set(tokenize(text))
    )
    assert len(words) < 80 and min(words.values()) >= 5
    test = {
        word for c in splits["test"] for text in generate_captions(c) for word in tokenize(text)
    }
    assert test <= set(words)


def test_a_shorter_split_is_the_beginning_of_a_longer_one() -> None:
    assert list(synthetic_clips("test", 3)) == list(synthetic_clips("test", 5))[:3]
    assert [clip_id for clip_id, _ in synthetic_clips("train", 1, seed=7)] == ["train-7-00000"]


@given(any_clip, st.floats(0, 1))
def test_things_stay_inside_and_apart(clip: SyntheticClip, part: float) -> None:
    poses = [actor.pose(part) for actor in clip.actors]
    for pose in poses:
        assert pose.radius <= min(pose.x, pose.y, 1 - pose.x, 1 - pose.y)
    for one, two in itertools.combinations(poses, 2):
        assert np.hypot(one.x - two.x, one.y - two.y) > one.radius + two.radius


@given(any_clip)
def test_the_label_is_what_happens(clip: SyntheticClip) -> None:
    if len(clip.actors) == 1:
        happens = [
            action
            for action, verb in {
                **{f"move {way}": f"moves {way}" for way in ("left", "right", "up", "down")},
                **{"turn": "turns", "grow": "grows", "shrink": "shrinks"},
            }.items()
            if is_true(f"a {clip.actors[0].shape} {verb}", clip)
        ]
    else:
        one, two = (f"a {actor.color} {actor.shape}" for actor in clip.actors)
        happens = [do for do in ("meet", "part") if is_true(f"{one} and {two} {do}", clip)]
    assert happens == [clip.action]


@given(any_clip)
def test_captions_are_five_different_true_sentences(clip: SyntheticClip) -> None:
    sentences = generate_captions(clip)
    assert len({tuple(tokenize(sentence)) for sentence in sentences}) == 5
    for sentence in sentences:
        assert is_true(sentence, clip), sentence
        assert is_true(" ".join(tokenize(sentence)), clip), sentence  # as a decoder writes it


OPPOSITES = {
    **{"left": "right", "right": "left", "top": "bottom", "bottom": "top"},
    **{"up": "down", "down": "up", "upwards": "downwards", "downwards": "upwards"},
    **{"grows": "shrinks", "shrinks": "grows", "growing": "shrinking", "shrinking": "growing"},
    **{"larger": "smaller", "smaller": "larger", "turns": "grows", "spins": "shrinks"},
    **{"meet": "part", "part": "meet", "together": "apart", "apart": "together"},
    **{"one": "two", "two": "one"},
}


@given(any_clip, st.data())
def test_a_caption_with_one_wrong_word_is_false(clip: SyntheticClip, data: st.DataObject) -> None:
    words = tokenize(data.draw(st.sampled_from(generate_captions(clip))))
    shown = {word for actor in clip.actors for word in (actor.shape, actor.color)}
    at = data.draw(st.sampled_from([i for i, word in enumerate(words) if _wrong(word, shown)]))
    words[at] = data.draw(st.sampled_from(_wrong(words[at], shown)))
    assert not is_true(" ".join(words), clip), " ".join(words)


def _wrong(word: str, shown: set[str]) -> list[str]:
    """Return the words that make a true sentence false in place of `word`."""
    for names in (SHAPES, COLORS):
        if word in names:
            return sorted(set(names) - shown)
    return [OPPOSITES[word]] if word in OPPOSITES else []


@given(any_clip)
def test_each_frame_shows_each_thing_where_it_is(clip: SyntheticClip) -> None:
    frames = render(clip).astype(int)
    assert frames.shape == (FRAMES, 64, 64, 3)
    for at in (0, FRAMES // 2, FRAMES - 1):
        for actor in clip.actors:
            pose = actor.pose(at / (FRAMES - 1))
            pixel = frames[at, int(64 * pose.y), int(64 * pose.x)]
            assert np.abs(pixel - COLORS[actor.color]).max() <= 8


@given(any_clip)
def test_every_frame_differs_by_more_than_grain(clip: SyntheticClip) -> None:
    frames = render(clip).astype(int)
    for one, two in itertools.pairwise(frames):
        assert np.abs(one - two).max() > 20


def test_clips_and_captions_are_the_same_everywhere() -> None:
    code = (
        "import hashlib, sys; from data.builtin.clips import *\n"
        "digest = hashlib.sha256()\n"
        "for clip_id, clip in synthetic_clips('train', 20):\n"
        "    digest.update(render(clip).tobytes() + (clip.action + clip.content()).encode())\n"
        "    digest.update('|'.join([clip_id, *generate_captions(clip)]).encode())\n"
        "print(digest.hexdigest()[:16], {'tensorflow', 'cv2'} & set(sys.modules))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert ran.stdout.strip() == "45cec57ee35ff51c set()"


GREY = ((230, 230, 230), (220, 220, 220))
# A red star at the left goes to the blue circle, which stays at the right.
REACHING = SyntheticClip(
    "meet",
    (
        Actor("star", "red", Pose(0.2, 0.5, 0.15, 0), Pose(0.49, 0.5, 0.15, 0)),
        Actor("circle", "blue", Pose(0.8, 0.5, 0.15, 0), Pose(0.8, 0.5, 0.15, 0)),
    ),
    GREY,
    seed=0,
)
TURNING = SyntheticClip(
    "turn",
    (Actor("heart", "pink", Pose(0.25, 0.25, 0.2, 0), Pose(0.25, 0.25, 0.2, -2)),),
    GREY,
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
def test_true_sentences(caption: str) -> None:
    assert is_true(caption, REACHING)


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
def test_false_sentences(caption: str) -> None:
    assert not is_true(caption, REACHING)


def test_what_turns_does_nothing_else() -> None:
    for text in ("a heart turns around", "at the top left a pink heart rotates", "it is spinning"):
        assert is_true(text.replace("it is", "a heart is"), TURNING)
    for text in ("a heart grows", "a heart moves left", "a heart in the middle turns"):
        assert parse(text) and not is_true(text, TURNING)
    still = TURNING.actors[0]._replace(end=TURNING.actors[0].start)
    assert not is_true("a heart turns", dataclasses.replace(TURNING, actors=(still,)))


@pytest.mark.parametrize("clip_id", ["", "test", "test-0", "exam-0-00001", "test-0-1"])
def test_a_wrong_id_is_named(clip_id: str) -> None:
    with pytest.raises(UserError, match="SPLIT-SEED-INDEX"):
        clip_by_id(clip_id)


def test_a_wrong_split_is_named() -> None:
    with pytest.raises(UserError, match="did you mean 'validation'"):
        next(synthetic_clips("validaton"))
