"""Images as the input of a task: a backbone, an encoder of its grid, and tables of rows."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from data.sharding.prepare import prepare_images
from data.storage.prepared import StoredImages
from models.backbones.factory import split_backbone
from pipelines.config.config import Config
from pipelines.config.task import TASKS
from pipelines.inputs.feature_cache import EncodedImages, cached_rows
from pipelines.inputs.precomputed_features import can_use_stored_features
from pipelines.inputs.tables import ImageTable
from pipelines.reports.thumbnails import Preview
from pipelines.task_models.parts import image_parts, named_errors
from pipelines.tasks.media_source import MediaSource


class ImageSource(MediaSource[StoredImages, bytes]):
    """The images of a prepared dataset, and the parts of the model that encode them."""

    def __init__(self, config: Config, prepared: StoredImages, run_dir: Path) -> None:
        """Build the backbone and the encoder; no image is read yet."""
        del run_dir
        super().__init__(config, prepared)
        self._lower = None
        if config.fine_tune_from is not None and config.fine_tune_layers == "top":
            with named_errors(config):
                self._lower, self.top = split_backbone(self.backbone)
        self.backbone, self.encoder, self.preprocessing = image_parts(config, self.backbone)

    @staticmethod
    def prepare(config: Config) -> StoredImages:
        """Return the dataset of a run, written first unless it is there."""
        return prepare_images(
            config.data,
            config.source,
            labels=TASKS[config.task].head == "labels",
            max_bad=config.max_bad,
            seed=config.seed,
        )

    def _inputs(self, split: str) -> Iterable[tuple[str, bytes]]:
        return self.prepared.images(split)

    def _preview(self, encoded: bytes) -> Preview:
        return Preview(image=encoded, grid=self.preprocessing.grid)

    def _table(self, split: str, fine_tuned: bool) -> ImageTable:
        prepared, flips = self.prepared, self._flips(split)
        frozen = self._lower if fine_tuned else self.backbone
        views = 1 + (flips and frozen is not None)
        stored = can_use_stored_features(
            prepared,
            size=self.size,
            backbone=self.backbone,
            flips=flips,
            fine_tuned=fine_tuned,
        )
        images = EncodedImages(
            f"{prepared.name}-{split}",
            (prepared.fingerprint, split),
            count=lambda: prepared.splits[split],
            encoded=lambda: (image for _, image in prepared.images(split)),
            index=lambda: prepared.ids(split),
            features=(lambda: (row[:views] for row in prepared.features(split)))
            if stored
            else None,
        )
        ids, rows = cached_rows(
            images,
            self.cache,
            size=self.size,
            flips=flips,
            backbone=frozen,
            keep_grid=fine_tuned,
        )
        return ImageTable(tuple(ids), rows, flips, self.augmentation)
