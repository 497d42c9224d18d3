"""Labeled images in their usual layouts; problems are reported."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import tensorflow_datasets as tfds

from data.annotations.problems import read_report
from data.common.errors import UserError
from data.sharding.prepare import prepare_images
from data.storage.prepared import StoredImages
from tests.support.source_files import fill, jpeg

# protobuf's word to TFDS 4.9.10, not to us.
pytestmark = pytest.mark.filterwarnings(r"ignore:label\(\) is deprecated:DeprecationWarning")


def prepare(tmp_path: Path, files: dict[str, Any], **options: Any) -> StoredImages:
    source = fill(tmp_path / "source", files)
    return prepare_images(
        "labeled-images", source, labels=True, data_dir=tmp_path / "data", **options
    )


def flowers(folder: str = "", count: int = 20, first: int = 0) -> dict[str, bytes]:
    """Two class folders, daisies and roses, with the same number of images."""
    return {
        f"{folder}{kind}/{number}.jpg": jpeg(first + 1000 * place + number)
        for place, kind in enumerate(("daisy", "rose"))
        for number in range(count)
    }


def labels(prepared: StoredImages) -> dict[str, Counter[str]]:
    return {
        split: Counter(label for _, label in prepared.labels(split)) for split in prepared.splits
    }


def wrong(prepared: StoredImages) -> dict[str, str]:
    return {problem.file: problem.reason for problem in read_report(prepared.problems)}


def test_class_folders_are_split_by_class(tmp_path: Path) -> None:
    files = {f"flowers/{name}": data for name, data in flowers().items()}  # as archives unpack
    prepared = prepare(tmp_path, files)
    assert prepared.classes == ("daisy", "rose")
    found = labels(prepared)
    assert {split for split, counts in found.items() if len(counts) == 2} >= {"train", "validation"}
    assert sum(found.values(), Counter()) == {"daisy": 20, "rose": 20}
    for split in prepared.splits:
        images = dict(prepared.images(split))
        assert list(images) == prepared.ids(split) == [n for n, _ in prepared.labels(split)]
        for name, label in prepared.labels(split):
            assert name.startswith(f"{label}/") and images[name] == files[f"flowers/{name}"]
    stored = tfds.builder_from_directory(prepared.directory)  # as anyone reads it
    (example, *_) = stored.as_dataset(split="train").as_numpy_iterator()
    assert example["label"].decode() in prepared.classes
    assert prepare(tmp_path, {}) == prepared


def test_split_folders_are_kept_and_a_missing_validation_split_is_created(tmp_path: Path) -> None:
    files = flowers("train/") | flowers("test/", 3, first=5000) | {"train/tulip/.keep": ""}
    prepared = prepare(tmp_path, files)
    found = labels(prepared)
    assert found["test"] == {"daisy": 3, "rose": 3}
    assert found["train"] + found["validation"] == {"daisy": 20, "rose": 20}
    assert set(found["validation"]) == {"daisy", "rose"}
    assert wrong(prepared) == {"train/tulip/": "class without images"}


def test_other_tables_among_class_folders_are_ignored(tmp_path: Path) -> None:
    files = flowers() | {"notes.csv": "a,b\n1,2\n", "rose/list.csv": "image,label\nx.jpg,y\n"}
    assert prepare(tmp_path, files).classes == ("daisy", "rose")


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    files = {name.replace("rose", "train"): data for name, data in flowers().items()}
    assert prepare(tmp_path, files).classes == ("daisy", "train")


@pytest.mark.parametrize("name", ["labels.csv", "labels.jsonl"])
def test_a_table_beside_the_images(tmp_path: Path, name: str) -> None:
    rows = [("a.jpg", "Löwe", "train"), ("b.jpg", "猫", "train"), ("c.jpg", "猫", "dev")]
    if name.endswith("csv"):
        table = "image,label,split\n" + "".join(",".join(row) + "\n" for row in rows)
    else:
        line = '{{"image": "{}", "label": "{}", "split": "{}"}}\n'
        table = "".join(line.format(*row) for row in rows)
    images = {f"images/{file}": jpeg(number) for number, (file, _, _) in enumerate(rows)}
    prepared = prepare(tmp_path, {name: table, **images})
    assert sorted(prepared.labels("train")) == [("a.jpg", "Löwe"), ("b.jpg", "猫")]
    assert prepared.labels("validation") == [("c.jpg", "猫")]


def test_a_label_that_is_not_unicode_is_reported(tmp_path: Path) -> None:
    files = {f"images/{n}.jpg": jpeg(n) for n in range(4)}
    lines = [f'{{"image": "{n}.jpg", "label": "{"ab"[n % 2]}"}}' for n in range(3)]
    table = "\n".join([*lines, r'{"image": "3.jpg", "label": "b\ud800"}'])
    prepared = prepare(tmp_path, {"labels.jsonl": table, **files}, max_bad=0.5)
    reasons = [problem.reason for problem in read_report(prepared.problems)]
    assert "label is not Unicode: half a surrogate pair" in reasons
    assert prepared.classes == ("a", "b")


def test_problems_are_reported(tmp_path: Path) -> None:
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
    images = {
        "a.jpg": jpeg(1), "same.jpg": jpeg(1), "other.jpg": jpeg(1), "b.jpg": jpeg(2),
        "torn.jpg": jpeg(3)[:-200], "bare.jpg": jpeg(4), "v.jpg": jpeg(5), "leak.jpg": jpeg(5),
        "unlabeled.jpg": jpeg(6),
    }  # fmt: skip
    files = {"labels.csv": table} | {f"images/{name}": data for name, data in images.items()}
    with pytest.raises(UserError, match=r"have problems, more than the 1.0% allowed"):
        prepare(tmp_path, files)
    prepared = prepare(tmp_path, files, max_bad=1.0)
    assert wrong(prepared) == {
        "a.jpg": "two labels: 'x' (kept) and 'y'",
        "same.jpg": "duplicate: a.jpg (kept) is the same image",
        "other.jpg": "two labels: a.jpg, 'x' (kept), is the same image",
        "torn.jpg": "undecodable: cut short",
        "gone.jpg": "missing",
        "bare.jpg": "without a label",
        "unlabeled.jpg": "without a label",
        "leak.jpg": "in two splits: v.jpg in validation (kept) is the same image",
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
         r"labels.csv, line 1: no column label \(name it label, class, action, "),
        ({"labels.csv": "image,label\n", "labels.tsv": "image\tlabel\n"}, "keep one label file"),
        ({"labels.csv": "image,label\na.jpg,x\nb.jpg,y\n", "images/c.jpg": jpeg(1)},
         "none of the 2 images listed is in"),
    ],
)  # fmt: skip
def test_unusable_sources_raise_errors(tmp_path: Path, files: dict[str, Any], reason: str) -> None:
    with pytest.raises(UserError, match=reason):
        prepare(tmp_path, files)


def test_a_table_for_each_split_of_which_test_has_no_labels(tmp_path: Path) -> None:
    images = {f"images/{n}.jpg": jpeg(n) for n in range(24)}
    train = "id,label\n" + "".join(f"{n},{'ab'[n % 2]}\n" for n in range(22))
    prepared = prepare(tmp_path, {**images, "train.csv": train, "test.csv": "id\n22\n23\n"})
    assert sum(prepared.splits.values()) == 22
    found = {problem.file: problem.reason for problem in read_report(prepared.problems)}
    assert found == {f"{n}.jpg": "without a label" for n in (22, 23)}
