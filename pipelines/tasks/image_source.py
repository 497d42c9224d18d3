"""Pictures as the input of a task: a backbone, an encoder, and tables of rows for both."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from data.annotations.splits import whole_split
from data.common.errors import UserError
from data.images.captioned import prepare
from data.images.labelled import prepare_labelled_pictures
from data.storage.cache import data_home
from data.storage.prepared import LabelledPictures, Prepared
from models.backbones.factory import build_backbone, cut, default_image_size, fingerprint
from models.encoders.image import ImageEncoder
from pipelines.config.config import Config
from pipelines.config.task import TASKS
from pipelines.inputs.feature_cache import table
from pipelines.inputs.precomputed_features import brings_rows
from pipelines.inputs.tables import Table
from pipelines.preprocessing.augmentation import Augmentation
from pipelines.preprocessing.images import PictureBytes
from pipelines.reports.thumbnails import Preview


class ImageSource(PictureBytes):
    """The pictures of a prepared dataset, and the parts of the model that see them.

    Attributes:
        backbone: pixels → grid of features.
        top: the part of it that learns, if another never does.
        encoder: grid of features → Memory.
        notes: what the report has to say of the inputs.
    """

    def __init__(
        self, config: Config, prepared: Prepared | LabelledPictures, run_dir: Path
    ) -> None:
        """Build the backbone; no picture is read yet, and nothing of it lies in `run_dir`."""
        self.config, self.prepared = config, prepared
        self.cache = data_home() / "tables"  # all runs share them
        self.notes: list[str] = []
        self.augmentation = augmentation_of(config)
        self.backbone, size = chosen_backbone(config)
        self._lower, self.top = None, None
        if config.fine_tune_from is not None and config.fine_tune_layers == "top":
            with naming_backbone(config):
                self._lower, self.top = cut(self.backbone)
        self.encoder = ImageEncoder(
            config.units, config.dropout, spread=0.5 if config.position_init else 0.1
        )
        _, rows, columns, depth = self.backbone.compute_output_shape((1, size, size, 3))
        self.encoder.build(rows * columns, depth)
        super().__init__(size, (rows, columns))
        self._frozen = {part: fingerprint(part) for part in (self.backbone, self._lower) if part}
        self.table = functools.cache(self._table)  # of (split, tuned)
        self._pictures = functools.cache(lambda split: dict(prepared.images(split)))

    @staticmethod
    def prepare(config: Config) -> Prepared | LabelledPictures:
        """Return the dataset of a run, written first unless it is there."""
        if "labels" in TASKS[config.task].parts:
            return prepare_labelled_pictures(config.data, config.source, max_bad=config.max_bad)
        return prepare(config.data, config.source, max_bad=config.max_bad, seed=config.seed)

    @staticmethod
    def inputs(prepared: Any, split: str) -> Iterable[tuple[str, Any]]:
        """Return the id of each example of a split, and what an export is asked of it."""
        return prepared.images(split)

    def tuned(self, epoch: int) -> bool:
        """Say whether the backbone learns in this epoch, counted from 0."""
        return self.config.tunes(epoch)

    def shown(self, split: str, name: str) -> Preview:
        """Return what the report shows of an example: the picture as it is stored."""
        if not self.prepared.has_pixels():
            return Preview(text=name)
        return Preview(image=self._pictures(split)[name], grid=self.grid)

    def _table(self, split: str, tuned: bool) -> Table:
        """Return a split's rows: features, or what a tuned backbone starts from."""
        split = whole_split(split)
        frozen = self._lower if tuned else self.backbone
        learned = split == whole_split(self.config.train_split)
        options: dict[str, Any] = {
            "size": self.size,
            "flips": self.config.flips and learned,
        }
        seen_by = "" if frozen is None else self._frozen[frozen]
        return table(
            self.prepared,
            split,
            self.cache,
            **options,
            augmentation=self.augmentation,
            backbone=frozen,
            backbone_fingerprint=seen_by,
            maps=tuned,
            brought=brings_rows(self.prepared, **options, fingerprint=seen_by, learns=tuned),
        )


def augmentation_of(config: Config) -> Augmentation:
    """Return how pixels are varied while the backbone learns.

    Raises:
        UserError: if it is asked for and no pixels are learned from.
    """
    augmentation = Augmentation(config.translation, config.rotation, config.zoom, config.brightness)
    whole = config.fine_tune_from is not None and config.fine_tune_layers == "all"
    if augmentation and not whole:
        raise UserError(
            "--translation, --rotation, --zoom and --brightness apply only while the whole "
            "backbone is fine-tuned: add --fine-tune-from 1 --fine-tune-layers all, or set them to 0"
        )
    return augmentation


def chosen_backbone(config: Config) -> tuple[Any, int]:
    """Return the backbone of a run, and the pixels a side that it takes.

    Raises:
        UserError: for one that cannot be built.
    """
    with naming_backbone(config):
        size = config.image_size or default_image_size(config.backbone)
        return build_backbone(config.backbone, weights=config.weights, image_size=size), size


@contextlib.contextmanager
def naming_backbone(config: Config) -> Iterator[None]:
    """Say of which backbone a mistake is."""
    try:
        yield
    except ValueError as error:
        raise UserError(f"--backbone {config.backbone}: {error}") from error
