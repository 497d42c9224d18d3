"""A prepared dataset, as the rest of Wordreel reads it: captions and encoded pictures by split."""

from __future__ import annotations

import abc
import functools
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from data.annotations.classes import classes_of
from data.common.errors import UserError, unknown
from data.storage.manifest import FEATURES, INFO, SKIPPED, fingerprint, read_manifest


@dataclass(frozen=True)
class Stored:
    """A dataset on disk, ready to read: what pictures and clips have in common.

    Attributes:
        name: of the dataset.
        directory: that `tfds.builder_from_directory` reads.
        fingerprint: changes with the content.
        splits: the number of pictures, or clips, of each split.
        problems: the report file, one JSON object a line: file, reason, where, bad.
        encoder: what stored features were made with, see `pipelines.inputs.frozen_encoder`; None:
            there are none.
    """

    name: str
    directory: Path
    fingerprint: str
    splits: Mapping[str, int]
    problems: Path
    encoder: Mapping[str, Any] | None = field(default=None, kw_only=True)

    numbered: ClassVar[bool] = False  # whether ids are TFDS's own, for want of others

    @property
    def encoded(self) -> str:
        """The feature that is not decoded."""
        return "image"

    def captions(self, split: str) -> list[tuple[str, list[str]]]:
        """Return `(id, captions)` of each picture or clip, without decoding one.

        Args:
            split: a split's name, or a slice as TFDS writes it: "train[:95%]".

        Raises:
            UserError: for an unknown split or a malformed slice.
        """
        return [
            (image_id.decode(), [caption.decode() for caption in captions])
            for image_id, captions in self._read(split, self._captions)
        ]

    def ids(self, split: str) -> list[str]:
        """Return the ids of a split's examples, in its order."""
        return [name.decode() for name, _ in self._read(split, self._image_id)]

    def features(self, split: str) -> Iterator[Any]:
        """Yield the stored features of each picture or clip, float16, in the order of `captions`.

        Of a picture `[1 or 2, cells, depth]`, the second of two of the mirrored one; where their
        mean is stored there is one cell. Of a clip `[frames, 1 or 2, cells, depth]`.

        Raises:
            UserError: for an unknown split or a malformed slice.
        """
        assert self.encoder is not None
        *_, depth = shape = self.encoder["shape"]
        for _, rows in self._read(split, lambda example: example["features"]):
            frames = rows.shape[: rows.ndim - len(shape)]
            yield rows.reshape(*frames, 1 + self.encoder["flips"], -1, depth)

    def has_pixels(self) -> bool:
        """Say whether pictures are stored, and not their features only."""
        import tensorflow_datasets as tfds

        return self.encoded in tfds.builder_from_directory(self.directory).info.features

    def _encoded(self, split: str) -> Iterator[tuple[str, Any]]:
        """Yield the id of each picture or clip, and what is stored of it encoded."""
        if not self.has_pixels():
            raise UserError(f"{self.directory} has no pictures, only features of them")
        for name, encoded in self._read(split, lambda example: example[self.encoded]):
            yield name.decode(), encoded

    def _read(self, split: str, feature: Callable[[Any], Any]) -> Iterator[tuple[bytes, Any]]:
        import tensorflow_datasets as tfds

        from data.storage.builders import hushed

        stored = []
        for term in split.split("+"):
            match = re.fullmatch(r"\s*(\w+)\s*(\[[^\]]*\])?\s*", term)
            if not match or match[1] not in self.splits:
                raise unknown("split", split, self.splits)
            stored.append(self._stored_split(match[1], match[2] or ""))
        try:
            with hushed():
                builder = tfds.builder_from_directory(self.directory)
                encoded = {self.encoded} & set(builder.info.features)
                examples = builder.as_dataset(
                    split="+".join(stored),
                    decoders={name: tfds.decode.SkipDecoding() for name in encoded},
                    # One shard after the other: the same order every time.
                    read_config=tfds.ReadConfig(
                        interleave_cycle_length=1, try_autocache=False, add_tfds_id=self.numbered
                    ),
                )
        except (ValueError, AssertionError) as error:
            reason = str(error).partition("\n")[0]  # TensorFlow Datasets says it twice
            reason = "it is empty" if "corresponds to no data" in reason else reason
            raise UserError(f"split {split!r} of {self.name}: {reason}") from None
        pairs = examples.map(lambda example: (self._image_id(example), feature(example)))
        yield from pairs.as_numpy_iterator()

    # What another dataset may store otherwise: see PreparedByTfds.
    def _image_id(self, example: Any) -> Any:
        return example["image_id"]

    def _captions(self, example: Any) -> Any:
        return example["captions"]

    def _stored_split(self, name: str, part: str) -> str:
        return name + part


class Drawn(abc.ABC):
    """What is drawn is known to the last, so that captions can be checked against it."""

    @abc.abstractmethod
    def is_true(self, name: str, caption: str) -> bool:
        """Check every statement of a caption against what was drawn under an id."""


class Pictures(Stored):
    """Pictures, whatever is told of them."""

    def images(self, split: str) -> Iterator[tuple[str, bytes]]:
        """Return `(image_id, encoded bytes)` of each picture in the order of `captions`.

        The bytes are JPEG; of what is drawn PNG. `tf.io.decode_image(…, channels=3)` reads both.
        """
        return self._encoded(split)


class Prepared(Pictures):
    """Pictures with captions."""


class LabelledPictures(Pictures):
    """Pictures with a label each."""

    @property
    def label(self) -> str:
        """The feature that is told."""
        return "label"

    @property
    def classes(self) -> tuple[str, ...]:
        """The labels, in the order of their numbers."""
        import tensorflow_datasets as tfds

        return tuple(tfds.builder_from_directory(self.directory).info.features[self.label].names)

    def labels(self, split: str) -> list[tuple[str, str]]:
        """Return `(image_id, label)` of each picture in the order of `images`."""
        pairs = list(self._read(split, lambda example: example[self.label]))
        if any(number < 0 for _, number in pairs):  # as TFDS marks what is kept secret
            raise UserError(f"{self.name}: pictures of {split!r} have no label: leave it out")
        names = self.classes
        return [(name.decode(), names[number]) for name, number in pairs]


class PreparedLabelledPictures(LabelledPictures):
    """Labelled pictures that `wordreel prepare` has stored: the labels are texts."""

    @functools.cached_property
    def classes(self) -> tuple[str, ...]:
        """The labels that can be learned, sorted: those of training pictures."""
        labelled = [(split, *pair) for split in self.splits for pair in self.labels(split)]
        return classes_of(self.name, labelled, "picture")

    def labels(self, split: str) -> list[tuple[str, str]]:
        """Return `(image_id, label)` of each picture in the order of `images`."""
        pairs = self._read(split, lambda example: example[self.label])
        return [(name.decode(), label.decode()) for name, label in pairs]


class PreparedScenes(Prepared, Drawn):
    """Drawn scenes: what is in each is known."""

    def is_true(self, name: str, caption: str) -> bool:
        """Check every statement of a caption against the scene itself."""
        from data.builtin.caption_checker import is_true
        from data.builtin.scenes import scene_by_id

        return is_true(caption, scene_by_id(name))


class PreparedByTfds(Prepared):
    """TFDS's own coco_captions: other names for the same things."""

    STORED: ClassVar[Mapping[str, Sequence[str]]] = {
        "train": ("train", "restval"),
        "validation": ("val",),
        "test": ("test",),
    }

    @classmethod
    def count(cls, stored: Mapping[str, int]) -> dict[str, int]:
        """Return the number of pictures of our splits from those of TFDS's."""
        return {split: sum(stored[part] for part in parts) for split, parts in cls.STORED.items()}

    def _image_id(self, example: Any) -> Any:
        import tensorflow as tf

        return tf.strings.as_string(example["image/id"])

    def _captions(self, example: Any) -> Any:
        return example["captions"]["text"]

    def _stored_split(self, name: str, part: str) -> str:
        return "+".join(stored + part for stored in self.STORED[name])


def count_splits(directory: Path) -> dict[str, int]:
    """Return the number of examples of each split that a dataset's folder holds."""
    import tensorflow_datasets as tfds

    splits = tfds.builder_from_directory(directory).info.splits
    known = [split for split in ("train", "validation", "test") if split in splits]
    others = [split for split in splits if split not in known]
    return {split: splits[split].num_examples for split in known + others}


def open_prepared(folder: Path, *needed: str) -> dict[str, Any]:
    """Return what makes a `Stored` of what `wordreel prepare` has written.

    Args:
        folder: its `--out`.
        needed: what each example of such a dataset has, by name.

    Raises:
        UserError: if nothing is there, it is not finished, or it is of another kind.
    """
    manifest = read_manifest(folder)
    if manifest is None or not (folder / INFO).exists():
        raise UserError(
            f"{folder} holds no finished dataset: make it with `wordreel prepare … --out {folder}`"
        )
    name, told = manifest["job"]["dataset"], json.loads((folder / FEATURES).read_text())
    if not set(needed) <= set(told["featuresDict"]["features"]):
        raise UserError(f"{folder} holds {name}, which is of no use to this task")
    splits: dict[str, int] = {}
    for note in manifest["shards"].values():
        splits[note["split"]] = splits.get(note["split"], 0) + note["examples"]
    return {
        "name": name,
        "directory": folder,
        "fingerprint": fingerprint(manifest),
        "splits": splits,
        "problems": folder / SKIPPED,
        "encoder": manifest["job"]["encoder"],
    }
