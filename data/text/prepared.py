"""Texts in memory, split by split, with their labels or translations."""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from data.annotations.entries import Entry
from data.annotations.splits import parse_slice
from data.common.errors import UserError, unknown


@dataclasses.dataclass(frozen=True)
class Texts:
    """Texts with labels or translations.

    Attributes:
        name: of the dataset.
        fingerprint: changes with the content.
        problems: the report file, one JSON object a line.
        examples: the texts of each split.
    """

    name: str
    fingerprint: str
    problems: Path
    examples: Mapping[str, Sequence[Entry]]

    is_true: ClassVar[None] = None  # see `data.storage.prepared.Stored`; translations have none

    @property
    def splits(self) -> dict[str, int]:
        """The number of texts of each split."""
        return {split: len(texts) for split, texts in self.examples.items()}

    @functools.cached_property
    def classes(self) -> tuple[str, ...]:
        """The labels of training texts, sorted; none of translations."""
        return tuple(sorted({entry.label for entry in self.examples.get("train", ())} - {""}))

    def texts(self, split: str) -> list[tuple[str, str]]:
        """Return `(text_id, text)` of a split, or of a slice in the syntax of TFDS: "train[:95%]".

        Raises:
            UserError: for an unknown split, or a slice that is malformed or empty.
        """
        return [(entry.image_id, entry.captions[0]) for entry in self._part(split)]

    def labels(self, split: str) -> list[tuple[str, str]]:
        """Return `(text_id, label)` in the order of `texts`."""
        return [(entry.image_id, entry.label) for entry in self._part(split)]

    def captions(self, split: str) -> list[tuple[str, list[str]]]:
        """Return `(text_id, [translation])` in the order of `texts`."""
        return [(entry.image_id, list(entry.captions[1:])) for entry in self._part(split)]

    def _part(self, split: str) -> Sequence[Entry]:
        match = re.fullmatch(r"\s*([\w-]+)\s*(\[.*\])?\s*", split)
        if not match or match[1] not in self.examples:
            raise unknown("split", split, self.examples)
        texts = self.examples[match[1]]
        if (taken := parse_slice(match[2] or "", len(texts))) is None:
            raise unknown("split", split, self.examples)
        if not (part := texts[taken]):
            raise UserError(f"split {split!r} of {self.name} is empty: {len(texts):,} texts in all")
        return part
