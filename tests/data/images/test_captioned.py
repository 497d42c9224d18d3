"""Every dataset of the registry can be asked for, and a wrong request is answered by name."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

from data.builtin import scenes
from data.common.errors import UserError
from data.images.captioned import DATASETS, prepare
from tests.support.paths import ROOT
from tests.support.source_files import fill, jpeg

# protobuf's word to TFDS 4.9.10, not to us.
pytestmark = pytest.mark.filterwarnings(r"ignore:label\(\) is deprecated:DeprecationWarning")


def test_the_data_folder_is_the_environments(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files: dict[str, Any] = {f"images/{letter}.jpg": jpeg(ord(letter)) for letter in "ab"}
    source = fill(tmp_path, files | {"captions.csv": "image,caption\na.jpg,a\nb.jpg,b\n"})
    monkeypatch.setenv("WORDREEL_DATA_DIR", str(tmp_path / "elsewhere"))
    assert (tmp_path / "elsewhere") in prepare("folder", source).directory.parents


def test_wrong_requests_are_answered_by_name(tmp_path: Path) -> None:
    requests: list[tuple[tuple[str] | tuple[str, Path], str]] = [
        (("flickr8",), "unknown dataset 'flickr8': did you mean 'flickr8k' or 'flickr30k'"),
        (("folder",), r"folder needs --source DIR, a folder with: images/ with captions.csv"),
        (("synthetic-scenes", tmp_path), "scenes takes no --source"),
        (("folder", tmp_path / "nowhere"), "no such folder: "),
        (("folder", Path(__file__)), "is a file, not a folder"),
        (("folder", tmp_path), "is empty"),
        (("coco_captions", ROOT / "data"), r"looked for .*coco_captions/\*/\*/dataset_info.json"),
    ]
    for arguments, message in requests:
        with pytest.raises(UserError, match=message):
            prepare(*arguments)
    with pytest.raises(UserError, match="--max-bad is a share between 0 and 1, not 2"):
        prepare("folder", ROOT, max_bad=2)


def test_the_registry_is_light_and_complete() -> None:
    photos = ["flickr8k", "flickr30k", "coco", "coco_captions"]
    assert list(DATASETS)[:5] == ["synthetic-scenes", *photos]
    assert {"multi30k-de", "multi30k-fr", "prepared", "folder"} == {*list(DATASETS)[5:]}
    script = (
        "import sys; sys.path.insert(0, sys.argv[1]); import data.images.captioned; "
        "print(*sys.modules)"
    )
    command = [sys.executable, "-I", "-c", script, str(ROOT)]
    modules = subprocess.run(
        command, cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.split()
    assert not {"numpy", "tensorflow", "keras", "tensorflow_datasets", "PIL"} & set(modules)


def test_drawn_scenes_are_stored_as_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scenes, "SPLITS", {"train": 12, "validation": 4, "test": 4, "unseen": 4})
    prepared = prepare("synthetic-scenes", data_dir=tmp_path)
    assert prepared.splits == {"train": 12, "validation": 4, "test": 4, "unseen": 4}
    captions = dict(prepared.captions("unseen"))
    for scene_id, image in prepared.images("unseen"):
        scene = scenes.scene_by_id(scene_id)
        np.testing.assert_array_equal(tf.io.decode_png(image), scenes.render(scene))
        assert captions[scene_id] == scenes.generate_captions(scene)
    assert (
        prepare("synthetic-scenes", data_dir=tmp_path, seed=1).fingerprint != prepared.fingerprint
    )


class CocoCaptions(tfds.core.GeneratorBasedBuilder, skip_registration=True):  # type: ignore[call-arg]
    """A small dataset with the names and features of TFDS's own coco_captions."""

    VERSION = tfds.core.Version("1.1.0")
    name = "coco_captions"
    url_infos: dict[str, Any] = {}  # noqa: RUF012

    def _info(self) -> Any:
        features = {
            "image": tfds.features.Image(encoding_format="jpeg"),
            "image/filename": tfds.features.Text(),
            "image/id": np.int64,
            "captions": tfds.features.Sequence({"id": np.int64, "text": np.str_}),
            "objects": tfds.features.Sequence({"bbox": tfds.features.BBoxFeature()}),
        }
        return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(features))

    def _split_generators(self, dl_manager: Any) -> Any:
        splits = {"train": range(10), "val": range(10, 14), "test": range(14, 17)}
        splits["restval"] = range(20, 30)
        return {split: self._generate_examples(ids) for split, ids in splits.items()}

    def _generate_examples(self, ids: range) -> Any:
        for number in ids:
            captions = [{"id": 10 * number + k, "text": f"caption {k} of {number}"} for k in (0, 1)]
            yield (
                number,
                {
                    "image": jpeg(number),
                    "image/filename": f"{number}.jpg",
                    "image/id": number,
                    "captions": captions,
                    "objects": [],
                },
            )


def test_coco_captions_of_tfds_is_read_as_it_is(tmp_path: Path) -> None:
    config = tfds.core.BuilderConfig(name="2014", version="1.1.0")
    builder = CocoCaptions(data_dir=tmp_path / "tfds", config=config)
    builder.download_and_prepare(download_dir=tmp_path / "downloads")
    prepared = prepare("coco_captions", tmp_path / "tfds", data_dir=tmp_path / "data")
    assert prepared.splits == {"train": 20, "validation": 4, "test": 3}
    train = dict(prepared.captions("train"))
    assert sorted(map(int, train)) == [*range(10), *range(20, 30)]
    assert train["25"] == ["caption 0 of 25", "caption 1 of 25"]
    assert [image_id for image_id, _ in prepared.images("train")] == list(train)
    assert dict(prepared.images("validation"))["11"] == jpeg(11)
    # A slice is taken of each part: both stay represented.
    assert len(prepared.captions("train[:50%]")) == 10
