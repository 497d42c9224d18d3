"""The datasets of labelled pictures, and how to prepare and read them.

    prepared = prepare_labelled_pictures("labelled-images", "~/flowers")
    for image_id, label in prepared.labels("validation"):
        ...

Nothing heavy is imported before it is needed: the command line lists datasets from here.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from data.annotations.splits import bound
from data.common.errors import UserError
from data.images.captioned import listed_pictures, listing_of
from data.storage.cache import data_home, say, tell, writing_to
from data.storage.dataset_info import DatasetInfo, info_of, source_folder
from data.storage.prepared import (
    LabelledPictures,
    PreparedLabelledPictures,
    count_splits,
    open_prepared,
)

if TYPE_CHECKING:
    from data.annotations.entries import Listing

# Raised when what is stored for the same source changes, so that no older dataset is reused.
_FORMAT = 1
_TFDS = "tfds:"

LABELLED_PICTURES: Mapping[str, DatasetInfo] = {
    info.name: info
    for info in (
        DatasetInfo(
            "digits",
            "1,797 real hand-written digits of 8 × 8 pixels (Alpaydin & Kaynak 1998)",
            False,
            "nothing: they come with Wordreel",
            made=True,
        ),
        DatasetInfo(
            "labelled-images",
            "your own pictures and labels",
            True,
            "a folder a class (in train/, validation/ and test/ if you like), or images/ with "
            "labels.csv (columns image, label and, if you like, split)",
        ),
        DatasetInfo(
            "tfds:NAME",
            "any classification dataset of TensorFlow Datasets: tfds:mnist, tfds:cifar10, …",
            False,
            "a TFDS data folder with it; without --source TFDS's own folder, into which it is "
            "downloaded if need be",
        ),
        DatasetInfo(
            "prepared",
            "labelled pictures that `wordreel prepare` has stored",
            True,
            "the folder that was its --out",
        ),
    )
}


def prepare_labelled_pictures(
    name: str,
    source: Path | str | None = None,
    *,
    data_dir: Path | str | None = None,
    max_bad: float = 0.01,
) -> LabelledPictures:
    """Return the dataset, written to `data_dir` unless it is there already.

    What is wrong with the source goes to a report file and, counted, to the screen.

    Args:
        name: a key of `LABELLED_PICTURES`, or "tfds:" and what TFDS calls a dataset.
        source: the folder it lies in.
        data_dir: see `data.storage.cache.data_home`.
        max_bad: the share of pictures that may have problems, 0 to 1.

    Raises:
        UserError: for an unknown name, a source that is not there or not in the expected layout,
            classes that cannot be learned, too many bad pictures, or a `data_dir` that cannot be
            written.
    """
    folder = source_folder(info_of(name, LABELLED_PICTURES), source)
    home = data_home(data_dir)
    if name == "digits":
        return _prepare_digits(home)
    if name.startswith(_TFDS):
        return _prepare_by_tfds(name.removeprefix(_TFDS), folder, home)
    from data.images.class_folders import read_labelled_pictures

    assert folder is not None
    if name == "prepared":
        return PreparedLabelledPictures(**open_prepared(folder, "image_id", "label"))
    prepared = listed_pictures(
        name, read_labelled_pictures, folder, home, max_bad, None, labelled=True
    )
    assert isinstance(prepared, LabelledPictures)
    return prepared


def list_labelled_pictures(name: str, source: Path) -> Listing:
    """Read which pictures, with which labels, a folder holds.

    Raises:
        UserError: for a source that is not in the expected layout, or classes that cannot be
            learned.
    """
    from data.annotations.classes import classes_in
    from data.images.class_folders import read_labelled_pictures

    listing = listing_of(name, read_labelled_pictures, source)
    classes_in(name, listing)
    return listing


def _prepare_digits(home: Path) -> LabelledPictures:
    from data.annotations.problems import write_report
    from data.builtin import digits
    from data.storage.builders import build, is_built
    from data.storage.examples import written_digits

    digest = hashlib.sha256(json.dumps([_FORMAT, digits.VERSION]).encode())
    fingerprint = digest.hexdigest()[:16]
    report = home / "digits" / fingerprint / "problems.jsonl"
    again = is_built(home, "digits", fingerprint)
    with writing_to(home):
        write_report(report, [])
        directory = build(
            "digits",
            fingerprint,
            encoding="png",
            splits=written_digits(),
            data_dir=home,
            classes=[str(digit) for digit in range(10)],
        )
    prepared = LabelledPictures("digits", directory, fingerprint, count_splits(directory), report)
    tell(prepared, [], again=again)
    return prepared


@dataclass(frozen=True)
class LabelledByTfds(LabelledPictures):
    """A dataset of TFDS's own, read as TFDS prepared it.

    Attributes:
        keys: what its features of pictures and labels are called.
        parts: where each of our splits lies: TFDS's split, the first example, the end.
    """

    keys: tuple[str, str]
    parts: Mapping[str, tuple[str, int, int]]

    numbered: ClassVar[bool] = True

    @property
    def encoded(self) -> str:
        """The feature that is not decoded."""
        return self.keys[0]

    @property
    def label(self) -> str:
        """The feature that is told."""
        return self.keys[1]

    def _image_id(self, example: Any) -> Any:
        return example["tfds_id"]

    def _stored_split(self, name: str, part: str) -> str:
        stored, first, end = self.parts[name]
        match = re.fullmatch(r"(?:\[\s*(-?\d+%?)?\s*:\s*(-?\d+%?)?\s*\])?", part)
        if not match:
            raise UserError(f"split '{name}{part}': a slice is [FROM:TO], in pictures or percent")
        inside = slice(*(bound(text, end - first) for text in match.groups()))
        start, stop, _ = inside.indices(end - first)
        return f"{stored}[{first + start}:{first + stop}]"


def _prepare_by_tfds(name: str, source: Path | None, home: Path) -> LabelledByTfds:
    from data.annotations.problems import write_report
    from data.storage.tfds import built_by_tfds, fingerprint_by_tfds

    directory, again = built_by_tfds(name, source)
    keys = _keys(name, directory)
    parts = _parts(name, count_splits(directory))
    fingerprint = fingerprint_by_tfds(directory)
    report = home / name / fingerprint / "problems.jsonl"
    with writing_to(home):
        write_report(report, [])
    counts = {split: end - first for split, (_, first, end) in parts.items()}
    prepared = LabelledByTfds(
        name.replace("/", "-"), directory, fingerprint, counts, report, keys, parts
    )
    tell(prepared, [], again=again)
    return prepared


def _keys(name: str, directory: Path) -> tuple[str, str]:
    """Return the names of the features that are seen and told."""
    import tensorflow_datasets as tfds

    info = tfds.builder_from_directory(directory).info
    keys = info.supervised_keys
    wanted = (tfds.features.Image, tfds.features.ClassLabel)
    if not keys or not all(
        isinstance(info.features[key], kind) for key, kind in zip(keys, wanted, strict=False)
    ):
        raise UserError(
            f"tfds:{name} is no classification dataset of pictures: its supervised keys are "
            f"{keys}, its features {', '.join(info.features)}"
        )
    return keys[0], keys[1]


def _parts(name: str, counts: Mapping[str, int]) -> dict[str, tuple[str, int, int]]:
    """Return where our splits lie; a tenth of training is validation where there is none."""
    if "train" not in counts:
        raise UserError(f"tfds:{name} has no split train, but {', '.join(counts)}")
    parts = {split: (split, 0, count) for split, count in counts.items()}
    if "validation" not in counts:
        end = counts["train"] - counts["train"] // 10
        say(f"{name}: no validation split: the last {counts['train'] - end:,} of train")
        parts["train"], parts["validation"] = ("train", 0, end), ("train", end, counts["train"])
    return parts
