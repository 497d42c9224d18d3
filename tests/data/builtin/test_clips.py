"""Synthetic clips: reproducible, in separate splits, with one action each."""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.builtin.caption_checker import is_true
from data.builtin.clips import (
    ACTIONS,
    FRAMES,
    SPLITS,
    SyntheticClip,
    clip_by_id,
    generate_captions,
    render,
    synthetic_clips,
)
from data.builtin.scenes import COLORS, SHAPES
from data.media.words import tokenize
from tests.support.paths import ROOT

settings.register_profile("synthetic clips", deadline=None)  # a busy machine is no failure
settings.load_profile("synthetic clips")

any_number = st.integers(0, 10**6)
any_clip = st.builds(
    "{}-{}-{:05d}".format, st.sampled_from(sorted(SPLITS)), any_number, any_number
).map(clip_by_id)


@pytest.fixture(scope="module")
def splits() -> dict[str, list[SyntheticClip]]:
    return {split: [clip for _, clip in synthetic_clips(split)] for split in SPLITS}


def test_no_clip_is_in_two_splits(splits: dict[str, list[SyntheticClip]]) -> None:
    contents = {split: {clip.content() for clip in splits[split]} for split in SPLITS}
    for one, two in itertools.combinations(SPLITS, 2):
        assert not contents[one] & contents[two], (one, two)


def test_splits_of_different_seeds_share_no_clip(splits: dict[str, list[SyntheticClip]]) -> None:
    train = {clip.content() for clip in splits["train"]}
    assert not train & {clip.content() for _, clip in synthetic_clips("test", seed=1)}


def test_actions_are_equally_frequent(splits: dict[str, list[SyntheticClip]]) -> None:
    for split, count in SPLITS.items():
        counts = Counter(clip.action for clip in splits[split])
        assert set(counts) == set(ACTIONS)
        assert min(counts.values()) > 0.6 * count / len(ACTIONS)


def test_every_word_is_common_in_training(splits: dict[str, list[SyntheticClip]]) -> None:
    items = [item for clip in splits["train"] for item in clip.scene(0).objects]
    for word in (*SHAPES, *COLORS):
        assert sum(word in (a.shape, a.color) for a in items) > 0.8 * len(items) / 8, word
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


def test_an_id_contains_split_seed_and_index() -> None:
    assert next(synthetic_clips("train", seed=7))[0] == "train-7-00000"


@given(any_clip, st.floats(0, 1))
def test_objects_stay_apart_and_inside_the_image(clip: SyntheticClip, part: float) -> None:
    items = clip.scene(part).objects
    for item in items:
        assert item.radius <= min(item.x, item.y, 1 - item.x, 1 - item.y)
    for one, two in itertools.combinations(items, 2):
        assert np.hypot(one.x - two.x, one.y - two.y) > one.radius + two.radius


@given(any_clip)
def test_only_the_statement_of_the_action_is_true(clip: SyntheticClip) -> None:
    objects = clip.scene(0).objects
    if len(objects) == 1:
        true_actions = [
            action
            for action, verb in {
                **{f"move {way}": f"moves {way}" for way in ("left", "right", "up", "down")},
                **{"turn": "turns", "grow": "grows", "shrink": "shrinks"},
            }.items()
            if is_true(f"a {objects[0].shape} {verb}", clip)
        ]
    else:
        one, two = (f"a {item.color} {item.shape}" for item in objects)
        true_actions = [do for do in ("meet", "part") if is_true(f"{one} and {two} {do}", clip)]
    assert true_actions == [clip.action]


@given(any_clip)
def test_each_frame_has_each_object_in_its_place(clip: SyntheticClip) -> None:
    frames = render(clip).astype(int)
    assert frames.shape == (FRAMES, 64, 64, 3)
    for index in (0, FRAMES // 2, FRAMES - 1):
        for item in clip.scene(index / (FRAMES - 1)).objects:
            pixel = frames[index, int(64 * item.y), int(64 * item.x)]
            assert np.abs(pixel - COLORS[item.color]).max() <= 8


@given(any_clip)
def test_consecutive_frames_differ_by_more_than_noise(clip: SyntheticClip) -> None:
    frames = render(clip).astype(int)
    for one, two in itertools.pairwise(frames):
        assert np.abs(one - two).max() > 20


def test_clips_and_captions_depend_on_the_seed_only() -> None:
    code = (
        "import hashlib, sys; from data.builtin.clips import *\n"
        "digest = hashlib.sha256()\n"
        "for clip_id, clip in itertools.islice(synthetic_clips('train'), 20):\n"
        "    digest.update(render(clip).tobytes() + (clip.action + clip.content()).encode())\n"
        "    digest.update('|'.join([clip_id, *generate_captions(clip)]).encode())\n"
        "print(digest.hexdigest()[:16], {'tensorflow', 'cv2'} & set(sys.modules))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert ran.stdout.strip() == "45cec57ee35ff51c set()"
