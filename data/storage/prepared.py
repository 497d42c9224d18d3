"""A prepared dataset as training reads it: annotations, encoded images and stored features."""

from __future__ import annotations

import contextlib
import functools
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from data.annotations.classes import classes_of
from data.common.errors import UserError, unknown
from data.storage.manifest import FEATURES, INFO, SKIPPED, fingerprint, read_manifest


@dataclass(frozen=True)
class Stored:
    """A dataset on disk: what images and clips have in common.

    Attributes:
        name: of the dataset.
        directory: that `tfds.builder_from_directory` reads.
        fingerprint: changes with the content.
        splits: the number of examples of each split.
        problems: the report file, one JSON object a line: file, reason, where, bad.
        encoder: what computed the stored features, see `pipelines.inputs.frozen_encoder`.
        is_true: checks a caption against the generated example of an id; None: not generated.
    """

    name: str
    directory: Path
    fingerprint: str
    splits: Mapping[str, int]
    problems: Path
    encoder: Mapping[str, Any] | None = field(default=None, kw_only=True)
    is_true: Callable[[str, str], bool] | None = field(default=None, kw_only=True)

    content: ClassVar[str] = "image"  # the feature that holds encoded images
    id_feature: ClassVar[str] = "image_id"
    adds_ids: ClassVar[bool] = False  # whether the ids are those of TFDS, for there are no others

    def captions(self, split: str) -> list[tuple[str, list[str]]]:
        """Return `(id, captions)` of each example, without decoding an image.

        Args:
            split: a split's name, or a slice in the syntax of TFDS: "train[:95%]".

        Raises:
            UserError: for an unknown split or a malformed slice.
        """
        return [
            (example_id.decode(), [caption.decode() for caption in captions])
            for example_id, captions in self._read(split, self._captions)
        ]

    def ids(self, split: str) -> list[str]:
        """Return the ids of a split's examples, in its order."""
        return [example_id.decode() for example_id, _ in self._read(split, self._id)]

    def features(self, split: str) -> Iterator[Any]:
        """Yield the stored features of each example, float16, in the order of `ids`.

        Those of an image are `[1 or 2, cells, depth]`, the second of the mirrored image; with
        pooled features there is one cell. Those of a clip are `[frames, 1 or 2, cells, depth]`.
        """
        assert self.encoder is not None
        *_, depth = shape = self.encoder["shape"]
        for _, rows in self._read(split, lambda example: example["features"]):
            frames = rows.shape[: rows.ndim - len(shape)]
            yield rows.reshape(*frames, 1 + self.encoder["flips"], -1, depth)

    def has_pixels(self) -> bool:
        """Return whether images are stored, not only their features."""
        import tensorflow_datasets as tfds

        return self.content in tfds.builder_from_directory(self.directory).info.features

    def _encoded(self, split: str) -> Iterator[tuple[str, Any]]:
        """Yield `(id, encoded image or frames)` of each example."""
        if not self.has_pixels():
            raise UserError(f"{self.directory} has no images, only features of them")
        for example_id, encoded in self._read(split, lambda example: example[self.content]):
            yield example_id.decode(), encoded

    def _read(self, split: str, feature: Callable[[Any], Any]) -> Iterator[tuple[bytes, Any]]:
        import tensorflow_datasets as tfds

        stored = []
        for term in split.split("+"):
            match = re.fullmatch(r"\s*(\w+)\s*(\[[^\]]*\])?\s*", term)
            if not match or match[1] not in self.splits:
                raise unknown("split", split, self.splits)
            stored.append(self._stored_split(match[1], match[2] or ""))
        try:
            with quiet_tfds():
                builder = tfds.builder_from_directory(self.directory)
                encoded = {self.content} & set(builder.info.features)
                examples = builder.as_dataset(
                    split="+".join(stored),
                    decoders={name: tfds.decode.SkipDecoding() for name in encoded},
                    # One shard after the other: the same order every time.
                    read_config=tfds.ReadConfig(
                        interleave_cycle_length=1, try_autocache=False, add_tfds_id=self.adds_ids
                    ),
                )
        except (ValueError, AssertionError) as error:
            reason = str(error).partition("\n")[0]  # TensorFlow Datasets repeats it
            reason = "it is empty" if "corresponds to no data" in reason else reason
            raise UserError(f"split {split!r} of {self.name}: {reason}") from None
        pairs = examples.map(lambda example: (self._id(example), feature(example)))
        yield from pairs.as_numpy_iterator()

    # Subclasses may store these differently.
    def _id(self, example: Any) -> Any:
        return example[self.id_feature]

    def _captions(self, example: Any) -> Any:
        return example["captions"]

    def _stored_split(self, name: str, part: str) -> str:
        return name + part


class StoredImages(Stored):
    """Images with captions, or with a label each."""

    @functools.cached_property
    def classes(self) -> tuple[str, ...]:
        """The labels of training images, sorted.

        Raises:
            UserError: if they cannot be learned: see `data.annotations.classes`.
        """
        labeled = [(split, *pair) for split in self.splits for pair in self.labels(split)]
        return classes_of(self.name, labeled, "image")

    def labels(self, split: str) -> list[tuple[str, str]]:
        """Return `(image_id, label)` of each image in the order of `images`."""
        pairs = self._read(split, lambda example: example["label"])
        return [(image_id.decode(), label.decode()) for image_id, label in pairs]

    def images(self, split: str) -> Iterator[tuple[str, bytes]]:
        """Yield `(image_id, JPEG or PNG bytes)` of each image in the order of `captions`."""
        return self._encoded(split)


def open_prepared(folder: Path, *needed: str) -> dict[str, Any]:
    """Return the fields of a `Stored` in a folder.

    Args:
        folder: the `--out` of `wordreel prepare`, or a folder of the cache.
        needed: features that each example must have.

    Raises:
        UserError: if nothing is there, it is not finished, or it is of another kind.
    """
    manifest = read_manifest(folder)
    if manifest is None or not (folder / INFO).exists():
        raise UserError(
            f"{folder} holds no finished dataset: make it with `wordreel prepare … --out {folder}`"
        )
    name, stored = manifest["job"]["dataset"], json.loads((folder / FEATURES).read_text())
    if not set(needed) <= set(stored["featuresDict"]["features"]):
        raise UserError(f"{folder} holds {name}, which this task cannot use")
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


@contextlib.contextmanager
def quiet_tfds() -> Iterator[None]:
    """Silence the logs of TensorFlow Datasets and TensorFlow, which are not for users."""
    import tensorflow as tf
    from absl import logging

    verbosity, level = logging.get_verbosity(), tf.get_logger().level
    logging.set_verbosity(logging.ERROR)
    tf.get_logger().setLevel("ERROR")
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        tf.get_logger().setLevel(level)
