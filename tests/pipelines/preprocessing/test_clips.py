"""Clip preprocessing of an export selects the same frames as training."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from data.common.errors import UserError
from pipelines.config.config import Config
from pipelines.config.crop import Box, crop_box
from pipelines.preprocessing.clips import ClipPreprocessing
from pipelines.preprocessing.frame_selection import select_frames
from tests.support.video_files import frame


def png(number: int) -> bytes:
    encoded: bytes = tf.io.encode_png(frame(number)).numpy()
    return encoded


def test_random_frames_are_within_their_segments() -> None:
    frames = np.array([20, 3, 7])
    rng = np.random.default_rng(0)
    seen = set()
    for _ in range(50):
        chosen, mask = select_frames(frames, 5, rng)
        assert mask.sum(axis=1).tolist() == [5, 3, 5]
        assert chosen[1, :3].tolist() == [0, 1, 2]
        for row, count in ((0, 20), (2, 7)):
            assert (np.diff(chosen[row]) >= 0).all() and chosen[row, -1] < count
            segments = chosen[row] * 5 / count
            assert (segments >= np.arange(5) - 5 / count).all()
        seen.add(tuple(chosen[0]))
    assert len(seen) > 20


def test_speed_jitter_changes_the_pace_and_keeps_the_order() -> None:
    frames, rng = np.array([75, 20]), np.random.default_rng(0)
    plain, mask = select_frames(frames, None)
    paces = []
    for _ in range(200):
        chosen, same = select_frames(frames, None, rng, speed_jitter=0.2)
        assert np.array_equal(mask, same)
        for row, count in enumerate(frames):
            one = chosen[row, :count]
            assert (np.diff(one) >= 0).all() and one.min() >= 0 and one.max() < count
            assert np.abs(one - plain[row, :count]).max() <= 0.2 * count + 1
            assert (np.abs(one - plain[row, :count]) <= 1).any()  # around a moment of its own
        inside = (chosen[0] > 0) & (chosen[0] < 74)  # what lies before or behind repeats the edge
        times = np.flatnonzero(inside)
        paces.append((chosen[0][times[-1]] - chosen[0][times[0]]) / (times[-1] - times[0]))
    assert 0.75 < min(paces) < 0.85 and 1.15 < max(paces) < 1.25
    assert abs(np.mean(paces) - 1) < 0.03
    assert np.array_equal(select_frames(frames, None, None, speed_jitter=0.2)[0], plain)


def in_graph(reader: ClipPreprocessing) -> Any:
    """Return a reader's function of encoded frames, traced once, as an export has it."""
    return tf.function(reader.read_in_graph, input_signature=[reader.signature], autograph=False)


@pytest.mark.parametrize("max_frames, views", [(4, 1), (None, 1), (4, 2)])
def test_an_export_selects_the_same_frames_as_a_table(max_frames: int | None, views: int) -> None:
    reader = ClipPreprocessing(48, None, max_frames, {}, views)
    plain = ClipPreprocessing(48, None, None, {})
    read = in_graph(reader)
    for lengths in ([9, 3], [4, 4], [1, 0]):
        given = np.full((2, 9), b"", object)
        for row, length in enumerate(lengths):
            given[row, :length] = [png(100 * row + number) for number in range(length)]
        (frames, mask), valid = read(tf.constant(given))
        assert valid.numpy().tolist() == [length > 0 for length in lengths]
        for row, length in enumerate(lengths):
            if not length:
                assert not mask[row].numpy().any()
                continue
            wanted, real = select_frames(np.array([length]), max_frames)
            seen = [wanted[0], np.maximum(wanted[0] - 1, 0)][:views]
            sent = [tf.constant([frame(100 * row + n) for n in part])[tf.newaxis] for part in seen]
            parts = [plain.read_pixels(part)[0][0] for part in sent]
            count = int(mask[row].numpy().sum())
            assert count == real.sum()
            assert np.array_equal(frames[row, :count], tf.concat(parts, axis=-1)[0])
            whole = tf.constant([frame(100 * row + n) for n in range(length)])[tf.newaxis]
            assert np.array_equal(frames[row, :count], reader.read_pixels(whole)[0][0][0])


def test_undecodable_frames_are_dropped() -> None:
    read = in_graph(ClipPreprocessing(32, None, None, {}))
    whole = [png(1), png(2), png(3)]
    broken = [b"", png(1), b"no picture", png(2), b"", png(3)[:50], png(3)]
    given = np.full((3, 7), b"", object)
    given[0, :3], given[1], given[2, 2] = whole, broken, b"\xff\xd8"
    (frames, mask), valid = read(tf.constant(given))
    assert valid.numpy().tolist() == [True, True, False]
    assert mask.numpy().sum(axis=1).tolist() == [3, 3, 0]
    assert np.array_equal(frames[0, :3], frames[1, :3])
    (pairs, mask), _ = ClipPreprocessing(32, None, None, {}, views=2).read_in_graph(
        tf.constant(given)
    )
    assert mask.numpy().sum(axis=1).tolist() == [3, 3, 0]
    assert np.array_equal(pairs[..., :3], frames)
    assert np.array_equal(pairs[0, 1:3, ..., 3:], frames[0, :2])
    assert np.array_equal(pairs[1, :3, ..., 3:], frames[1, :3])  # what came before was lost
    for shape in ((0, 3), (2, 0)):
        (frames, mask), valid = read(tf.fill(shape, ""))
        assert len(frames) == len(mask) == len(valid) == shape[0] and not valid.numpy().any()


def test_a_crop_is_cut_before_resizing() -> None:
    image = np.zeros((1, 1, 48, 64, 3), np.uint8)
    image[:, :, 24:, 16:48] = 200
    reader = ClipPreprocessing(32, Box(0.5, 1, 0.25, 0.75), None, {})
    (pixels, _), _ = reader.read_pixels(tf.constant(image))
    encoded = tf.io.encode_png(image[0, 0])[tf.newaxis, tf.newaxis]
    (decoded, _), _ = reader.read_in_graph(encoded)
    assert (pixels.numpy() == 200).all() and (decoded.numpy() == 200).all()
    for wrong in ("0:1", "0.5:0.2,0:1", "0:2,0:1", "a:b,c:d"):
        with pytest.raises(UserError, match="--crop is TOP:BOTTOM,LEFT:RIGHT"):
            crop_box(wrong)
    with pytest.raises(UserError, match="exclude each other"):
        Config(sample_frames=3, sample_rate=2.0)
