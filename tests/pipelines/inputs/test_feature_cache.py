"""Tables of images and features: computed once, never stale, resumable."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from data.common.errors import UserError
from data.storage.prepared import StoredImages
from models.backbones.factory import build_backbone, split_backbone
from models.encoder_head import EncoderHead, flatten_grid
from models.encoders.image import ImageEncoder
from models.heads.sequence_decoder import SequenceDecoder
from pipelines.config.crop import Box
from pipelines.inputs import feature_cache
from pipelines.inputs.feature_cache import row_function
from pipelines.preprocessing.images import decode_image
from tests.support.cached_images import image_table as table

SIZE = 32


def png(seed: int, width: int = 48, height: int = 40) -> bytes:
    noise = np.random.default_rng(seed).integers(0, 255, (height, width, 3)).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(noise).save(file, "PNG")
    return file.getvalue()


class InMemory(StoredImages):
    """A dataset of a few synthetic images that counts how many were read."""

    read = 0

    def captions(self, split: str) -> list[tuple[str, list[str]]]:
        return [(f"{split}-{i}", ["x"]) for i in range(self.splits[split])]

    def ids(self, split: str) -> list[str]:
        return [name for name, _ in self.captions(split)]

    def images(self, split: str) -> Iterator[tuple[str, bytes]]:
        for i, (name, _) in enumerate(self.captions(split)):
            InMemory.read += 1
            yield name, png(i)


def dataset(images: int = 70, fingerprint: str = "f") -> InMemory:
    InMemory.read = 0
    return InMemory("made-up", Path("."), fingerprint, {"train": images}, Path("."))


def backbone(seed: int = 1) -> keras.Model:
    keras.utils.set_random_seed(seed)
    return keras.Sequential([keras.Input((None, None, 3)), keras.layers.Conv2D(5, 8, 8)])


def test_pixels_are_what_decoding_gives(tmp_path: Path) -> None:
    found = table(dataset(), tmp_path, size=SIZE)
    assert found.rows.shape == (70, 1, SIZE, SIZE, 3)
    for i in (0, 33, 69):
        np.testing.assert_array_equal(found.rows[i, 0], decode_image(png(i), SIZE))
    assert found.positions()["train-33"] == 33
    (folder,) = tmp_path.glob("made-up-*")
    os.utime(folder, (1, 1))
    table(dataset(), tmp_path, size=SIZE)
    assert folder.stat().st_mtime > 1  # its last use, for `wordreel cache`


def test_features_are_those_of_the_backbone_and_of_the_mirror(tmp_path: Path) -> None:
    net = backbone()
    found = table(dataset(), tmp_path, size=SIZE, flips=True, backbone=net)
    assert found.rows.shape == (70, 2, 16, 5)
    image = tf.cast(decode_image(png(40), SIZE), tf.float32)
    for view, pixels in enumerate((image, image[:, ::-1])):
        expected = flatten_grid(net(pixels[tf.newaxis]))[0]
        np.testing.assert_allclose(found.rows[40, view], expected, rtol=2e-3, atol=0.1)


def test_a_fine_tuned_top_continues_from_rows_of_the_frozen_part(tmp_path: Path) -> None:
    net = build_backbone("small-cnn", image_size=SIZE)
    lower, top = split_backbone(net)
    found = table(
        dataset(),
        tmp_path,
        size=SIZE,
        flips=True,
        backbone=lower,
        keep_grid=True,
    )
    encoder = ImageEncoder(6, 0.0)
    encoder.build((None, 4, 128))
    model = EncoderHead(net, encoder, SequenceDecoder(9, units=6, embedding=6), top)
    rows = np.array([3, 40])
    seen = model.encode(tf.constant(np.stack([found.rows[3, 0], found.rows[40, 1]])))
    images = [decode_image(png(row), SIZE) for row in rows]
    expected = model.encode(tf.stack([images[0], images[1][:, ::-1]]))
    np.testing.assert_allclose(seen.values, expected.values, atol=2e-3)  # rows are float16
    assert np.ptp(expected.values) > 0.1


def test_rows_are_computed_once(tmp_path: Path) -> None:
    first = table(dataset(), tmp_path, size=SIZE)
    again = dataset()
    second = table(again, tmp_path, size=SIZE)
    assert InMemory.read == 0
    np.testing.assert_array_equal(first.rows, second.rows)


@pytest.mark.parametrize(
    "change",
    [{"size": 16}, {"backbone": backbone(2)}, {"flips": True}, {"prepared": "other"}],
)
def test_what_changes_the_rows_changes_the_cache(tmp_path: Path, change: dict[str, Any]) -> None:
    options: dict[str, Any] = {"size": SIZE, "backbone": backbone()}
    table(dataset(), tmp_path, **options)
    prepared = dataset(fingerprint=change.pop("prepared", "f"))
    table(prepared, tmp_path, **{**options, **change})
    assert InMemory.read > 0
    assert len([path for path in tmp_path.iterdir() if path.is_dir()]) == 2


def test_rows_have_the_key_of_the_weights_that_computed_them(tmp_path: Path) -> None:
    """Also if a checkpoint replaces the weights after the backbone was built."""
    first, second = backbone(1), backbone(2)
    expected = {seed: net.get_weights() for seed, net in ((1, first), (2, second))}
    first.set_weights(expected[2])  # as restoring a checkpoint does
    poisoned = table(dataset(), tmp_path, size=SIZE, backbone=first)
    right = table(dataset(), tmp_path / "alone", size=SIZE, backbone=second)
    np.testing.assert_array_equal(poisoned.rows, right.rows)
    first.set_weights(expected[1])
    clean = table(dataset(), tmp_path, size=SIZE, backbone=first)
    again = table(dataset(), tmp_path / "clean", size=SIZE, backbone=backbone(1))
    np.testing.assert_array_equal(clean.rows, again.rows)
    assert np.abs(clean.rows - right.rows).max() > 1


def test_an_interrupted_job_resumes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = table(dataset(200), tmp_path / "whole", size=SIZE)
    monkeypatch.setattr(feature_cache, "BATCH", 8)  # progress is noted every 20 batches

    class Interrupted(InMemory):
        def images(self, split: str) -> Iterator[tuple[str, bytes]]:
            for i, pair in enumerate(super().images(split)):
                if i == 190:
                    raise KeyboardInterrupt
                yield pair

    broken = Interrupted("made-up", Path("."), "f", {"train": 200}, Path("."))
    with pytest.raises(Exception):  # noqa: B017 - TensorFlow wraps it
        table(broken, tmp_path / "cut", size=SIZE)
    (partial,) = (tmp_path / "cut").glob("*.partial")
    assert json.loads((partial / "progress.json").read_text())["done"] == 160
    rows = np.load(partial / "rows.npy", mmap_mode="r+")
    rows[3] = 7  # a mark: what was done is not done again
    rows.flush()
    found = table(dataset(200), tmp_path / "cut", size=SIZE)
    assert (found.rows[3] == 7).all()
    np.testing.assert_array_equal(found.rows[4:], whole.rows[4:])


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(UserError, match=r"cannot store image features in .*file.*WORDREEL_DATA"):
        table(dataset(), blocked, size=SIZE)


def test_decoding_squashes_the_whole_image() -> None:
    half = np.zeros((40, 80, 3), np.uint8)
    half[:, 40:] = 255
    file = io.BytesIO()
    Image.fromarray(half).save(file, "PNG")
    pixels = decode_image(file.getvalue(), SIZE).numpy()
    assert (pixels[:, : SIZE // 2 - 1] == 0).all()
    assert (pixels[:, SIZE // 2 + 1 :] == 255).all()


def test_an_image_of_the_right_size_is_unchanged() -> None:
    image = png(5, SIZE, SIZE)
    np.testing.assert_array_equal(decode_image(image, SIZE), tf.io.decode_png(image))


def test_a_box_crops_the_image() -> None:
    image = tf.io.decode_png(png(6, 64, 48))
    cropped = tf.io.encode_png(image[12:36, 16:48])
    np.testing.assert_array_equal(
        decode_image(png(6, 64, 48), SIZE, Box(0.25, 0.75, 0.25, 0.75)),
        decode_image(cropped, SIZE),
    )


def test_rows_equal_the_backbone_s_output() -> None:
    backbone = build_backbone("small-cnn", image_size=32)
    rng = np.random.default_rng(0)
    norms = [layer for layer in backbone.layers if hasattr(layer, "moving_variance")]
    for norm in norms:
        norm.set_weights([rng.uniform(0.5, 2, weight.shape) for weight in norm.get_weights()])
    pixels = rng.integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)
    rows = row_function(32, True, backbone).compute(pixels).numpy()
    for view, seen in enumerate([pixels, pixels[:, :, ::-1]]):
        expected = backbone(seen.astype(np.float32), training=False).numpy()
        expected = expected.reshape(3, -1, expected.shape[-1])
        np.testing.assert_allclose(rows[:, view], expected, rtol=2**-10, atol=1e-4)
    assert norms
