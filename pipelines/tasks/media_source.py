"""The base of the image and video sources: a backbone, and the table rows computed with it."""

from __future__ import annotations

import abc
import functools
from collections.abc import Iterable
from pathlib import Path
from typing import Generic, TypeVar

import keras

from data.annotations.splits import whole_split
from data.common.errors import UserError
from data.storage.cache import TABLES, data_home
from data.storage.prepared import Stored
from models.backbones.factory import fingerprint
from models.backbones.names import starts_random
from pipelines.config.config import Config
from pipelines.inputs.tables import FrameTable
from pipelines.preprocessing.augmentation import Augmentation
from pipelines.reports.thumbnails import Preview
from pipelines.task_models.parts import configured_backbone
from pipelines.tasks.initialization import Rows

Dataset = TypeVar("Dataset", bound=Stored)
Encoded = TypeVar("Encoded", bound=bytes | list[bytes])  # an image, or the frames of a clip


class MediaSource(abc.ABC, Generic[Dataset, Encoded]):
    """The images or clips of a prepared dataset, and the backbone that computes their features.

    Attributes, in addition to those of `Source`:
        size: pixels per side that the backbone takes.
        augmentation: of pixels, while the whole backbone is fine-tuned.
    """

    top: keras.Model | None = None

    def __init__(self, config: Config, prepared: Dataset) -> None:
        """Build the backbone; no image is read yet.

        Raises:
            UserError: for a backbone that cannot be built, or augmentation of a frozen one.
        """
        self.config, self.prepared = config, prepared
        self.cache = data_home() / TABLES  # all runs share them
        self.notes: list[str] = []
        self.augmentation = self._augmentation()
        self.backbone = configured_backbone(config)
        self.size: int = self.backbone.input_shape[1]
        self._cached_table = functools.cache(self._table)
        self._encoded = functools.cache(lambda split: dict(self._inputs(split)))

    @abc.abstractmethod
    def _inputs(self, split: str) -> Iterable[tuple[str, Encoded]]:
        """Yield the id of each example of a split, and its encoded image or frames."""

    @abc.abstractmethod
    def _table(self, split: str, fine_tuned: bool) -> FrameTable:
        """Return the rows of a whole split, for a backbone that is fine-tuned or frozen."""

    @abc.abstractmethod
    def _preview(self, encoded: Encoded) -> Preview:
        """Return the preview of an input for the report."""

    @functools.cached_property
    def pins(self) -> dict[str, str]:
        """The weights that the backbone was built with; random ones depend on the seed alone."""
        name, weights = self.config.backbone, self.config.weights
        if starts_random(name, weights):
            return {}
        # Of a file the configuration counts as well; otherwise it depends on the version of Keras.
        digest = fingerprint(self.backbone, weights_only=not name.endswith(".keras"))
        return {f"the weights of the backbone ({name}, {weights})": digest}

    def table(self, split: str, epoch: int) -> FrameTable:
        """Return the rows of a whole split: features, or pixels if the backbone is fine-tuned."""
        return self._cached_table(whole_split(split), self.config.tunes(epoch))

    def preview(self, split: str, name: str) -> Preview:
        """Return the preview of an example: its id if only features are stored."""
        if not self.prepared.has_pixels():
            return Preview(text=name)
        return self._preview(self._encoded(split)[name])

    def rows_from(self, run: Path) -> dict[str, Rows]:
        """Return no rows: the weights have none for words."""
        del run
        return {}

    def _flips(self, split: str) -> bool:
        """Return whether examples of a whole split are mirrored: those of the training split."""
        return self.config.flips and split == whole_split(self.config.train_split)

    def _augmentation(self) -> Augmentation:
        config = self.config
        augmentation = Augmentation(
            config.translation, config.rotation, config.zoom, config.brightness
        )
        whole = config.fine_tune_from is not None and config.fine_tune_layers == "all"
        if augmentation and not whole:
            raise UserError(
                "--translation, --rotation, --zoom and --brightness apply only while the whole "
                "backbone is fine-tuned: add --fine-tune-from 1 --fine-tune-layers all, or set "
                "them to 0"
            )
        return augmentation
