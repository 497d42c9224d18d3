"""Datasets of images: their declarations, generated images, and errors for wrong requests."""

from __future__ import annotations

import io
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from data.builtin import digits, scenes
from data.common.errors import UserError
from data.images.datasets import IMAGE_DATASETS
from data.sharding.prepare import prepare_images
from data.storage.dataset_info import datasets_with
from tests.support.paths import ROOT
from tests.support.source_files import fill, jpeg

# A warning of protobuf for TFDS 4.9.10.
pytestmark = pytest.mark.filterwarnings(r"ignore:label\(\) is deprecated:DeprecationWarning")


def test_the_environment_names_the_data_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files: dict[str, Any] = {f"images/{letter}.jpg": jpeg(ord(letter)) for letter in "ab"}
    source = fill(tmp_path, files | {"captions.csv": "image,caption\na.jpg,a\nb.jpg,b\n"})
    monkeypatch.setenv("WORDREEL_DATA_DIR", str(tmp_path / "elsewhere"))
    assert (tmp_path / "elsewhere") in prepare_images("folder", source).directory.parents


def test_wrong_requests_raise_errors_with_names(tmp_path: Path) -> None:
    requests: list[tuple[tuple[str] | tuple[str, Path], str]] = [
        (("flickr8",), "unknown dataset 'flickr8': did you mean 'flickr8k' or 'flickr30k'"),
        (("folder",), r"folder needs --source DIR, a folder with: images/ with captions.csv"),
        (("synthetic-scenes", tmp_path), "synthetic-scenes takes no --source"),
        (("folder", tmp_path / "nowhere"), "no such folder: "),
        (("folder", Path(__file__)), "is a file, not a folder"),
        (("folder", tmp_path), "is empty"),
        (("coco_captions", ROOT / "data"), r"looked for .*coco_captions/\*/\*/dataset_info.json"),
    ]
    for arguments, message in requests:
        with pytest.raises(UserError, match=message):
            prepare_images(*arguments)
    with pytest.raises(UserError, match="labeled-images"):
        prepare_images("labeled-image", labels=True)
    with pytest.raises(UserError, match="digits takes no --source"):
        prepare_images("digits", ".", labels=True)


def test_the_registry_is_light_and_complete() -> None:
    names = [dataset.name for dataset in IMAGE_DATASETS]
    captioned, labeled = (datasets_with(IMAGE_DATASETS, each) for each in ("captions", "labels"))
    assert len(set(names)) == len(names) and {*captioned, *labeled} == {*names}
    assert "folder" in captioned and "folder" not in labeled
    assert all(dataset.layout and dataset.summary for dataset in IMAGE_DATASETS)
    script = (
        "import sys; sys.path.insert(0, sys.argv[1]); import data.images.datasets; "
        "print(*sys.modules)"
    )
    command = [sys.executable, "-I", "-c", script, str(ROOT)]
    modules = subprocess.run(
        command, cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.split()
    assert not {"numpy", "tensorflow", "keras", "tensorflow_datasets", "PIL"} & set(modules)


def test_generated_scenes_are_stored_exactly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scenes, "SPLITS", {"train": 12, "validation": 4, "test": 4, "unseen": 4})
    prepared = prepare_images("synthetic-scenes", data_dir=tmp_path)
    assert prepared.splits == {"train": 12, "validation": 4, "test": 4, "unseen": 4}
    captions = dict(prepared.captions("unseen"))
    for scene_id, image in prepared.images("unseen"):
        scene = scenes.scene_by_id(scene_id)
        np.testing.assert_array_equal(tf.io.decode_png(image), scenes.render(scene))
        assert captions[scene_id] == scenes.generate_captions(scene)
        assert prepared.is_true is not None
        assert all(prepared.is_true(scene_id, caption) for caption in captions[scene_id])
    other = prepare_images("synthetic-scenes", data_dir=tmp_path, seed=1)
    assert other.fingerprint != prepared.fingerprint
    monkeypatch.setattr(scenes, "VERSION", scenes.VERSION + 1)
    changed = prepare_images("synthetic-scenes", data_dir=tmp_path)
    assert changed.directory != prepared.directory


def test_digits_are_stored_exactly(tmp_path: Path) -> None:
    prepared = prepare_images("digits", labels=True, data_dir=tmp_path)
    assert prepared.splits == {"train": 1078, "validation": 360, "test": 359}
    counts = {
        split: Counter(label for _, label in prepared.labels(split)) for split in prepared.splits
    }
    assert prepared.classes == tuple("0123456789") and prepared.is_true is None
    assert sum(counts.values(), Counter())["3"] == 183  # as UCI says of the digit 3
    for split, share in digits.SHARES.items():  # each digit has its share of each split
        for digit, count in counts[split].items():
            assert abs(count - share * sum(c[digit] for c in counts.values())) <= 1
    own, labels = digits.read_digits()["test"], dict(prepared.labels("test"))
    for (name, data), _ in zip(prepared.images("test"), range(20), strict=False):
        number = own.ids.index(name)
        assert labels[name] == str(own.labels[number])
        shades = np.asarray(Image.open(io.BytesIO(data)))[..., 0]
        np.testing.assert_array_equal(np.rint(shades / 255 * 16), own.pixels[number])
