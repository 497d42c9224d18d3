"""Labelled pictures in the layouts people have, and what is wrong with them."""

from __future__ import annotations

import io
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds
from PIL import Image

from data.annotations.problems import read_report
from data.builtin import digits
from data.common.errors import UserError
from data.images.labelled import LABELLED_PICTURES, prepare_labelled_pictures
from data.storage.prepared import LabelledPictures
from tests.support.source_files import fill, jpeg

# protobuf's word to TFDS 4.9.10, not to us.
pytestmark = pytest.mark.filterwarnings(r"ignore:label\(\) is deprecated:DeprecationWarning")


def prepare(tmp_path: Path, files: dict[str, Any], **options: Any) -> LabelledPictures:
    source = fill(tmp_path / "source", files)
    return prepare_labelled_pictures("pictures", source, data_dir=tmp_path / "data", **options)


def flowers(folder: str = "", count: int = 20, first: int = 0) -> dict[str, bytes]:
    """Daisies and roses in a folder each, as many of both."""
    return {
        f"{folder}{kind}/{number}.jpg": jpeg(first + 1000 * place + number)
        for place, kind in enumerate(("daisy", "rose"))
        for number in range(count)
    }


def labels(prepared: LabelledPictures) -> dict[str, Counter[str]]:
    return {
        split: Counter(label for _, label in prepared.labels(split)) for split in prepared.splits
    }


def wrong(prepared: LabelledPictures) -> dict[str, str]:
    return {problem.file: problem.reason for problem in read_report(prepared.problems)}


def test_a_folder_a_class_is_split_class_by_class(tmp_path: Path) -> None:
    files = {f"flowers/{name}": data for name, data in flowers().items()}  # as archives unpack
    prepared = prepare(tmp_path, files)
    assert prepared.classes == ("daisy", "rose")
    found = labels(prepared)
    assert {split for split, counts in found.items() if len(counts) == 2} >= {"train", "validation"}
    assert sum(found.values(), Counter()) == {"daisy": 20, "rose": 20}
    for split in prepared.splits:
        pictures = dict(prepared.images(split))
        assert list(pictures) == prepared.ids(split) == [n for n, _ in prepared.labels(split)]
        for name, label in prepared.labels(split):
            assert name.startswith(f"{label}/") and pictures[name] == files[f"flowers/{name}"]
    stored = tfds.builder_from_directory(prepared.directory)  # as anyone reads it
    assert stored.info.features["label"].names == ["daisy", "rose"]
    again = prepare_labelled_pictures("pictures", tmp_path / "source", data_dir=tmp_path / "data")
    assert again == prepared


def test_split_folders_are_kept_and_lacking_validation_is_made(tmp_path: Path) -> None:
    files = flowers("train/") | flowers("test/", 3, first=5000) | {"train/tulip/.keep": ""}
    prepared = prepare(tmp_path, files)
    found = labels(prepared)
    assert found["test"] == {"daisy": 3, "rose": 3}
    assert found["train"] + found["validation"] == {"daisy": 20, "rose": 20}
    assert set(found["validation"]) == {"daisy", "rose"}
    assert wrong(prepared) == {"train/tulip/": "class without an image"}


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    files = {name.replace("rose", "train"): data for name, data in flowers().items()}
    assert prepare(tmp_path, files).classes == ("daisy", "train")


@pytest.mark.parametrize("name", ["labels.csv", "labels.jsonl"])
def test_a_table_beside_the_pictures(tmp_path: Path, name: str) -> None:
    rows = [("a.jpg", "Löwe", "train"), ("b.jpg", "猫", "train"), ("c.jpg", "猫", "dev")]
    if name.endswith("csv"):
        table = "image,label,split\n" + "".join(",".join(row) + "\n" for row in rows)
    else:
        line = '{{"image": "{}", "label": "{}", "split": "{}"}}\n'
        table = "".join(line.format(*row) for row in rows)
    pictures = {f"images/{file}": jpeg(number) for number, (file, _, _) in enumerate(rows)}
    prepared = prepare(tmp_path, {name: table, **pictures})
    assert sorted(prepared.labels("train")) == [("a.jpg", "Löwe"), ("b.jpg", "猫")]
    assert prepared.labels("validation") == [("c.jpg", "猫")]


def test_a_label_that_no_file_can_hold_is_named(tmp_path: Path) -> None:
    files = {f"images/{n}.jpg": jpeg(n) for n in range(4)}
    lines = [f'{{"image": "{n}.jpg", "label": "{"ab"[n % 2]}"}}' for n in range(3)]
    table = "\n".join([*lines, r'{"image": "3.jpg", "label": "b\ud800"}'])
    prepared = prepare(tmp_path, {"labels.jsonl": table, **files}, max_bad=0.5)
    reasons = [problem.reason for problem in read_report(prepared.problems)]
    assert "label is not Unicode: half a surrogate pair" in reasons
    assert prepared.classes == ("a", "b")


def test_what_is_wrong_is_named(tmp_path: Path) -> None:
    table = "image,label,split\n" + "".join(
        f"{file},{label},{split}\n"
        for file, label, split in [
            ("a.jpg", "x", "train"),
            ("b.jpg", "y", "train"),
            ("same.jpg", "x", "train"),
            ("other.jpg", "y", "train"),
            ("torn.jpg", "x", "train"),
            ("gone.jpg", "x", "train"),
            ("bare.jpg", "", "train"),
            ("v.jpg", "x", "validation"),
            ("leak.jpg", "x", "train"),
            ("a.jpg", "y", "train"),
        ]
    )
    pictures = {
        "a.jpg": jpeg(1), "same.jpg": jpeg(1), "other.jpg": jpeg(1), "b.jpg": jpeg(2),
        "torn.jpg": jpeg(3)[:-200], "bare.jpg": jpeg(4), "v.jpg": jpeg(5), "leak.jpg": jpeg(5),
        "untold.jpg": jpeg(6),
    }  # fmt: skip
    files = {"labels.csv": table} | {f"images/{name}": data for name, data in pictures.items()}
    with pytest.raises(UserError, match=r"have problems, more than the 1.0% allowed"):
        prepare(tmp_path, files)
    prepared = prepare(tmp_path, files, max_bad=1.0)
    assert wrong(prepared) == {
        "a.jpg": "two labels: 'x' (kept) and 'y'",
        "same.jpg": "duplicate: a.jpg (kept) is the same picture",
        "other.jpg": "two labels: a.jpg, 'x' (kept), is the same picture",
        "torn.jpg": "undecodable: cut short",
        "gone.jpg": "missing",
        "bare.jpg": "without a label",
        "untold.jpg": "without a label",
        "leak.jpg": "in two splits: v.jpg in validation (kept) is the same picture",
    }
    assert labels(prepared) == {"train": {"x": 1, "y": 1}, "validation": {"x": 1}}


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({f"cat/{n}.jpg": jpeg(n) for n in range(20)}, "two classes or more; the training images "
         "have 'cat'"),
        (flowers("train/") | {"val/daisy/1.jpg": jpeg(1), "val/weed/2.jpg": jpeg(2)},
         r"val/weed/2.jpg \(validation\) has the label 'weed', which no training image has; "
         "known: daisy, rose"),
        ({"cat/notes.txt": "x", "dog/a.txt": "x"}, "no image in the class folders .*: cat, dog"),
        ({"notes.txt": "x"}, r"no class folders in .*: looked for CLASS/, train/CLASS/"),
        ({"labels.csv": "image,caption\na.jpg,x\n", "images/a.jpg": jpeg(1)},
         r"labels.csv, line 1: no column label \(name it label, class, action\)"),
        ({"labels.csv": "image,label\n", "labels.tsv": "image\tlabel\n"}, "keep one label file"),
        ({"labels.csv": "image,label\na.jpg,x\nb.jpg,y\n", "images/c.jpg": jpeg(1)},
         "none of the 2 images listed is in"),
    ],
)  # fmt: skip
def test_what_cannot_be_learned_is_refused(
    tmp_path: Path, files: dict[str, Any], reason: str
) -> None:
    with pytest.raises(UserError, match=reason):
        prepare(tmp_path, files)


def test_the_digits_are_those_of_the_file(tmp_path: Path) -> None:
    prepared = prepare_labelled_pictures("digits", data_dir=tmp_path)
    assert prepared.splits == {"train": 1078, "validation": 360, "test": 359}
    counts = labels(prepared)
    assert sum(counts.values(), Counter())["3"] == 183  # as UCI says of the digit 3
    for split, share in digits.SHARES.items():  # each digit has its share of each split
        for digit, count in counts[split].items():
            assert abs(count - share * sum(c[digit] for c in counts.values())) <= 1
    own, told = digits.read_digits()["test"], dict(prepared.labels("test"))
    for (name, data), _ in zip(prepared.images("test"), range(20), strict=False):
        number = own.ids.index(name)
        assert told[name] == str(own.labels[number])
        shades = np.asarray(Image.open(io.BytesIO(data)))[..., 0]
        np.testing.assert_array_equal(np.rint(shades / 255 * 16), own.pixels[number])


class TinyShades(tfds.core.GeneratorBasedBuilder, skip_registration=True):  # type: ignore[call-arg]
    """A small dataset with the features of TFDS's own mnist; `test` keeps its labels secret."""

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


def test_any_classification_dataset_of_tfds(tmp_path: Path) -> None:
    builder = TinyShades(data_dir=tmp_path / "tfds")
    builder.download_and_prepare(download_dir=tmp_path / "downloads")
    prepared = prepare_labelled_pictures(
        "tfds:tiny_shades", tmp_path / "tfds", data_dir=tmp_path / "data"
    )
    assert prepared.splits == {"train": 36, "validation": 4, "test": 6}
    assert prepared.classes == ("dark", "light")
    parts = [prepared.labels(s) for s in ("train", "train[:50%]", "train[50%:]", "validation")]
    assert parts[0] == parts[1] + parts[2]
    assert len({name for name, _ in parts[0] + parts[3]}) == 40
    for name, encoded in prepared.images("validation"):
        picture = tf.io.decode_image(encoded, channels=3).numpy()
        assert picture.shape == (4, 4, 3)
        assert dict(parts[3])[name] == ("dark" if picture.max() < 128 else "light")
    with pytest.raises(UserError, match="pictures of 'test' have no label: leave it out"):
        prepared.labels("test")
    with pytest.raises(UserError, match=r"a slice is \[FROM:TO\]"):
        prepared.labels("train[::2]")
    with pytest.raises(UserError, match=r"looked for absent/\*/dataset_info.json"):
        prepare_labelled_pictures("tfds:absent", tmp_path / "tfds", data_dir=tmp_path / "data")


def test_unknown_names() -> None:
    assert list(LABELLED_PICTURES) == ["digits", "pictures", "tfds:NAME", "prepared"]
    with pytest.raises(UserError, match="pictures"):
        prepare_labelled_pictures("picture")
    with pytest.raises(UserError, match="digits takes no --source"):
        prepare_labelled_pictures("digits", ".")
