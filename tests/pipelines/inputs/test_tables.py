"""Tables: the rows of a split as a model reads them, augmented in training."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from pipelines.inputs.tables import ClipTable, ImageTable
from pipelines.preprocessing.augmentation import Augmentation


def table(**options: Any) -> ClipTable:
    rows = np.random.default_rng(1).integers(0, 255, (9, 1, 8, 8, 3)).astype(np.uint8)
    return ClipTable(("a", "b", "c"), rows, frames=np.array([4, 2, 3]), **options)


def test_a_table_reads_the_frames_of_each_clip() -> None:
    clips, mask = table().read(np.array([2, 0]))
    assert mask.tolist() == [[True, True, True, False], [True] * 4]
    assert np.array_equal(clips[0, :3], table().rows[6:9, 0]) and not clips[0, 3].any()
    assert np.array_equal(clips[1], table().rows[0:4, 0])
    assert table(max_frames=2).lengths == [2, 2, 2]
    spec, _ = table().spec
    assert spec.is_compatible_with(tf.constant(clips))


def test_a_pair_is_a_frame_and_the_stored_one_before_it() -> None:
    pairs = table(pairs=True, max_frames=2, flips=True)
    clips, mask = pairs.read(np.array([2, 0]))
    assert mask.all() and pairs.spec[0].is_compatible_with(tf.constant(clips))
    stored = table().rows[:, 0]
    wanted = [[(6, 6), (8, 7)], [(1, 0), (3, 2)]]  # the middle of each half; the first of clip c
    for clip, numbers in zip(clips, wanted, strict=True):
        for pair, (now, before) in zip(clip, numbers, strict=True):
            assert np.array_equal(pair, np.concatenate([stored[now], stored[before]], axis=-1))
    mirrored = {
        pairs.read(np.array([1]), np.random.default_rng(at))[0].tobytes() for at in range(9)
    }
    plain = pairs.read(np.array([1]))[0]
    assert mirrored == {plain.tobytes(), plain[:, :, :, ::-1].tobytes()}


def test_clips_are_mirrored_only_where_flips_allow() -> None:
    flips = np.array([True, False, True])
    seen = [
        {
            table(flips=flips).read(np.array([clip]), np.random.default_rng(at))[0].tobytes()
            for at in range(9)
        }
        for clip in range(3)
    ]
    assert [len(ways) for ways in seen] == [2, 1, 2]


@pytest.mark.parametrize("views", [1, 2])
def test_an_image_is_a_clip_of_one_frame(views: int) -> None:
    dtype = np.uint8 if views == 1 else np.float16
    rows = np.random.default_rng(1).integers(0, 255, (9, views, 8, 8, 3)).astype(dtype)
    ids, positions = tuple("abcdefghi"), np.array([7, 0, 3, 8])
    image = ImageTable(ids, rows, flips=True)
    clip = ClipTable(ids, rows, flips=True, frames=np.ones(9, int))
    assert image.lengths == clip.lengths and image.positions() == clip.positions()
    for seed in range(5):
        images = image.read(positions, np.random.default_rng(seed))
        frames, mask = clip.read(positions, np.random.default_rng(seed))
        assert mask.all() and np.array_equal(frames[:, 0], images)


def test_augmentation_differs_each_time_and_only_in_training() -> None:
    varied = table(flips=True, augmentation=Augmentation(translation=2, brightness=0.3))
    plain, _ = table().read(np.array([0]))
    assert np.array_equal(varied.read(np.array([0]))[0], plain)
    rng = np.random.default_rng(0)
    ways = {varied.read(np.array([0]), rng)[0].tobytes() for _ in range(10)}
    assert len(ways) == 10
    mirrored = {table(flips=True).read(np.array([0]), rng)[0].tobytes() for _ in range(20)}
    assert mirrored == {plain.tobytes(), plain[:, :, :, ::-1].tobytes()}
    moved = table(augmentation=Augmentation(translation=1)).read(
        np.array([0]), np.random.default_rng(3)
    )[0]
    padded = np.pad(plain, [(0, 0), (0, 0), (1, 1), (1, 1), (0, 0)], "edge")
    windows = [padded[:, :, y : y + 8, x : x + 8] for y in range(3) for x in range(3)]
    assert any(np.array_equal(moved, window) for window in windows)
