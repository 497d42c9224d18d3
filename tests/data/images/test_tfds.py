"""Images that TensorFlow Datasets has prepared, with captions or labels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

from data.common.errors import UserError
from data.sharding.prepare import prepare_images
from tests.support.source_files import jpeg

# A warning of protobuf for TFDS 4.9.10.
pytestmark = pytest.mark.filterwarnings(r"ignore:label\(\) is deprecated:DeprecationWarning")


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


def test_coco_captions_is_read_in_karpathys_splits(tmp_path: Path) -> None:
    config = tfds.core.BuilderConfig(name="2014", version="1.1.0")
    builder = CocoCaptions(data_dir=tmp_path / "tfds", config=config)
    builder.download_and_prepare(download_dir=tmp_path / "downloads")
    prepared = prepare_images("coco_captions", tmp_path / "tfds", data_dir=tmp_path / "data")
    assert prepared.splits == {"train": 20, "validation": 4, "test": 3}
    train = dict(prepared.captions("train"))
    assert sorted(map(int, train)) == [*range(10), *range(20, 30)]
    assert train["25"] == ["caption 0 of 25", "caption 1 of 25"]
    assert [image_id for image_id, _ in prepared.images("train")] == list(train)
    assert dict(prepared.images("validation"))["11"] == jpeg(11)
    # The slice applies to each of the two parts.
    assert len(prepared.captions("train[:50%]")) == 10


class TinyShades(tfds.core.GeneratorBasedBuilder, skip_registration=True):  # type: ignore[call-arg]
    """A small dataset with the features of TFDS's own mnist; `test` has no labels."""

    VERSION = tfds.core.Version("3.0.1")
    name = "tiny_shades"
    url_infos: dict[str, Any] = {}  # noqa: RUF012

    def _info(self) -> Any:
        features = {
            "image": tfds.features.Image(shape=(4, 4, 1)),
            "label": tfds.features.ClassLabel(names=["dark", "light"]),
        }
        return tfds.core.DatasetInfo(
            builder=self,
            features=tfds.features.FeaturesDict(features),
            supervised_keys=("image", "label"),
        )

    def _split_generators(self, dl_manager: Any) -> Any:
        return {"train": self._generate_examples(40), "test": self._generate_examples(6)}

    def _generate_examples(self, count: int) -> Any:
        for n in range(count):
            shade = np.full([4, 4, 1], n if n % 2 == 0 else 255 - n, np.uint8)
            yield n, {"image": shade, "label": -1 if count == 6 else n % 2}


def test_any_image_classification_dataset_is_read(tmp_path: Path) -> None:
    builder = TinyShades(data_dir=tmp_path / "tfds")
    builder.download_and_prepare(download_dir=tmp_path / "downloads")
    prepared = prepare_images(
        "tfds:tiny_shades", tmp_path / "tfds", labels=True, data_dir=tmp_path / "data"
    )
    assert prepared.splits == {"train": 36, "validation": 4, "test": 6}
    assert prepared.classes == ("dark", "light")
    parts = [prepared.labels(s) for s in ("train", "train[:50%]", "train[50%:]", "validation")]
    assert parts[0] == parts[1] + parts[2]
    assert len({name for name, _ in parts[0] + parts[3]}) == 40
    for name, encoded in prepared.images("validation"):
        image = tf.io.decode_image(encoded, channels=3).numpy()
        assert image.shape == (4, 4, 3)
        assert dict(parts[3])[name] == ("dark" if image.max() < 128 else "light")
    with pytest.raises(UserError, match="images of 'test' have no label: leave it out"):
        prepared.labels("test")
    with pytest.raises(UserError, match=r"a slice is \[FROM:TO\]"):
        prepared.labels("train[::2]")
    with pytest.raises(UserError, match=r"looked for absent/\*/dataset_info.json"):
        prepare_images("tfds:absent", tmp_path / "tfds", labels=True, data_dir=tmp_path / "data")
