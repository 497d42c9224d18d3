"""A prepared dataset, as the rest of Wordreel reads it: captions and encoded pictures by split."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from data.errors import UserError, unknown


@dataclass(frozen=True)
class Prepared:
    """A dataset on disk, ready to read.

    Attributes:
        name: of the dataset.
        directory: that `tfds.builder_from_directory` reads.
        fingerprint: changes with the content.
        splits: the number of pictures of each split.
        problems: the report file, one JSON object a line: file, reason, where, bad.
    """

    name: str
    directory: Path
    fingerprint: str
    splits: Mapping[str, int]
    problems: Path

    def captions(self, split: str) -> list[tuple[str, list[str]]]:
        """Return `(image_id, captions)` of each picture, without decoding one.

        Args:
            split: a split's name, or a slice as TFDS writes it: "train[:95%]".

        Raises:
            UserError: for an unknown split or a malformed slice.
        """
        return [
            (image_id.decode(), [caption.decode() for caption in captions])
            for image_id, captions in self._read(split, self._captions)
        ]

    def images(self, split: str) -> Iterator[tuple[str, bytes]]:
        """Yield `(image_id, encoded bytes)` of each picture in the order of `captions`.

        The bytes are JPEG; of scenes PNG. `tf.io.decode_image(…, channels=3)` reads both.
        """
        for image_id, image in self._read(split, lambda example: example["image"]):
            yield image_id.decode(), image

    def _read(self, split: str, feature: Callable[[Any], Any]) -> Iterator[tuple[bytes, Any]]:
        import tensorflow_datasets as tfds

        stored = []
        for term in split.split("+"):
            match = re.fullmatch(r"\s*(\w+)\s*(\[[^\]]*\])?\s*", term)
            if not match or match[1] not in self.splits:
                raise unknown("split", split, self.splits)
            stored.append(self._stored_split(match[1], match[2] or ""))
        try:
            examples = tfds.builder_from_directory(self.directory).as_dataset(
                split="+".join(stored),
                decoders={"image": tfds.decode.SkipDecoding()},
                # One shard after the other: the same order every time.
                read_config=tfds.ReadConfig(interleave_cycle_length=1, try_autocache=False),
            )
        except (ValueError, AssertionError) as error:
            raise UserError(f"split {split!r} of {self.name}: {error}") from None
        pairs = examples.map(lambda example: (self._image_id(example), feature(example)))
        yield from pairs.as_numpy_iterator()

    # What another dataset may store otherwise: see PreparedByTfds.
    def _image_id(self, example: Any) -> Any:
        return example["image_id"]

    def _captions(self, example: Any) -> Any:
        return example["captions"]

    def _stored_split(self, name: str, part: str) -> str:
        return name + part


class PreparedScenes(Prepared):
    """Drawn scenes: what is in each is known, so captions can be checked against it."""

    def is_true(self, image_id: str, caption: str) -> bool:
        """Check every statement of a caption against the scene itself."""
        from data.scene_truth import is_true
        from data.scenes import scene_by_id

        return is_true(caption, scene_by_id(image_id))


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
