"""Images of TensorFlow Datasets, read as it prepared them: coco_captions, or any with labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from data.annotations.problems import write_report
from data.annotations.splits import parse_slice
from data.common.errors import UserError
from data.storage.cache import log, writing_to
from data.storage.dataset_info import TFDS
from data.storage.fingerprints import file_digest
from data.storage.prepared import StoredImages
from data.storage.tfds import find_or_download

COCO = "coco_captions"
COCO_SPLITS = {"train": ("train", "restval"), "validation": ("val",), "test": ("test",)}


Part = tuple[str, int, int]  # a range of a split of TFDS: its name, the first example, the end


@dataclass(frozen=True)
class TfdsImages(StoredImages):
    """A dataset that TensorFlow Datasets prepared: other feature names, integer labels.

    Attributes:
        image_key: the feature of images.
        parts: the ranges that make each split of Wordreel.
        label_key: the feature of labels; "" for coco_captions.
    """

    image_key: str
    parts: Mapping[str, Sequence[Part]]
    label_key: str = ""

    adds_ids: ClassVar[bool] = True

    @property
    def content(self) -> str:  # type: ignore[override]
        """The feature that holds encoded images."""
        return self.image_key

    @property
    def classes(self) -> tuple[str, ...]:
        """The labels, in the order of their numbers."""
        import tensorflow_datasets as tfds

        features = tfds.builder_from_directory(self.directory).info.features
        return tuple(features[self.label_key].names)

    def labels(self, split: str) -> list[tuple[str, str]]:
        """Return `(image_id, label)` of each image in the order of `images`."""
        pairs = list(self._read(split, lambda example: example[self.label_key]))
        if any(number < 0 for _, number in pairs):  # TFDS's mark of secret labels
            raise UserError(f"{self.name}: images of {split!r} have no label: leave it out")
        names = self.classes
        return [(image_id.decode(), names[number]) for image_id, number in pairs]

    def _id(self, example: Any) -> Any:
        import tensorflow as tf

        if self.label_key:
            return example["tfds_id"]
        return tf.strings.as_string(example["image/id"])

    def _captions(self, example: Any) -> Any:
        return example["captions"]["text"]

    def _stored_split(self, name: str, part: str) -> str:
        terms = []
        for stored, first, end in self.parts[name]:
            taken = parse_slice(part, end - first)
            if taken is None:
                raise UserError(f"split '{name}{part}': a slice is [FROM:TO], in images or percent")
            low, high, _ = taken.indices(end - first)
            terms.append(f"{stored}[{first + low}:{first + high}]")
        return "+".join(terms)


def open_tfds_images(name: str, source: Path | None, home: Path) -> TfdsImages:
    """Open coco_captions or a dataset such as "tfds:mnist", downloaded first if it is missing.

    Args:
        name: as `--data` names it.
        source: a TFDS data folder; None: TFDS's own.
        home: where the problem report goes.

    Raises:
        UserError: if it cannot be prepared, or is not a dataset of labeled images.
    """
    own = name.removeprefix(TFDS)
    directory, again = find_or_download(own, source, size="37 GB" if own == COCO else "")
    import tensorflow_datasets as tfds  # slow to import, and not needed if the folder is missing

    info = tfds.builder_from_directory(directory).info
    names = [split for split in ("train", "validation", "test") if split in info.splits]
    names = list(dict.fromkeys([*names, *info.splits]))
    counts = {split: info.splits[split].num_examples for split in names}
    if name == COCO:
        keys = ("image", "")
        parts = {
            split: [(stored, 0, counts[stored]) for stored in names]
            for split, names in COCO_SPLITS.items()
        }
    else:
        keys, parts = _keys(own, info), _parts(own, counts)
    fingerprint = str(file_digest(directory / "dataset_info.json"))[:16]
    report = home / own / fingerprint / "problems.jsonl"
    with writing_to(home):
        write_report(report, [])
    splits = {split: sum(end - first for _, first, end in found) for split, found in parts.items()}
    listed = ", ".join(f"{split} {count:,}" for split, count in splits.items())
    display_name = own.replace("/", "-")
    log(f"{display_name}: {listed} images{' (prepared before)' * again}")
    return TfdsImages(display_name, directory, fingerprint, splits, report, keys[0], parts, keys[1])


def _keys(name: str, info: Any) -> tuple[str, str]:
    """Return the names of the features of images and labels."""
    import tensorflow_datasets as tfds

    keys = info.supervised_keys
    wanted = (tfds.features.Image, tfds.features.ClassLabel)
    if not keys or not all(
        isinstance(info.features[key], kind) for key, kind in zip(keys, wanted, strict=False)
    ):
        raise UserError(
            f"tfds:{name} is not an image classification dataset: its supervised keys are "
            f"{keys}, its features {', '.join(info.features)}"
        )
    return keys[0], keys[1]


def _parts(name: str, counts: Mapping[str, int]) -> dict[str, list[Part]]:
    """Return the ranges of Wordreel's splits; without validation, it is the last tenth of train."""
    if "train" not in counts:
        raise UserError(f"tfds:{name} has no split train, but {', '.join(counts)}")
    parts = {split: [(split, 0, count)] for split, count in counts.items()}
    if "validation" not in counts:
        total = counts["train"]
        end = total - total // 10
        log(f"{name}: no validation split: the last {total - end:,} of train")
        parts["train"], parts["validation"] = [("train", 0, end)], [("train", end, total)]
    return parts
