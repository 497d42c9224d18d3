"""Pictures as the input of a task: a backbone, an encoder, and tables of rows for both."""

from __future__ import annotations

import functools
import re
from pathlib import Path

from data.datasets import data_home, prepare
from data.errors import UserError
from data.labelled_pictures import prepare_labelled_pictures
from data.prepared import LabelledPictures, Prepared
from models.backbones import build_backbone, default_image_size, fingerprint
from models.image_encoder import ImageEncoder
from pipelines.config import Config
from pipelines.features import Table, table
from pipelines.picture_bytes import PictureBytes
from pipelines.shown import Shown
from pipelines.tasks import TASKS
from pipelines.variation import Variation


class ImageSource(PictureBytes):
    """The pictures of a prepared dataset, and the parts of the model that see them.

    Attributes:
        backbone: pixels → grid of features.
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
        self.variation = Variation(config.shift, config.turn, config.zoom, config.tint)
        if self.variation and config.fine_tune_from is None:
            raise UserError(
                "--shift, --turn, --zoom and --tint vary what a backbone that learns sees: add "
                "--fine-tune-from 1, or set them to 0"
            )
        try:
            size = config.image_size or default_image_size(config.backbone)
            self.backbone = build_backbone(config.backbone, weights=config.weights, image_size=size)
        except ValueError as error:
            raise UserError(f"--backbone {config.backbone}: {error}") from error
        self.encoder = ImageEncoder(
            config.units, config.dropout, spread=0.5 if config.firm_places else 0.1
        )
        _, rows, columns, depth = self.backbone.compute_output_shape((1, size, size, 3))
        self.encoder.build(rows * columns, depth)
        super().__init__(size, (rows, columns))
        self._fingerprint = fingerprint(self.backbone)
        self.table = functools.cache(self._table)  # of (split, tuned)
        self._pictures = functools.cache(lambda split: dict(prepared.images(split)))

    @staticmethod
    def prepare(config: Config) -> Prepared | LabelledPictures:
        """Return the dataset of a run, written first unless it is there."""
        if "labels" in TASKS[config.task].parts:
            return prepare_labelled_pictures(config.data, config.source, max_bad=config.max_bad)
        return prepare(config.data, config.source, max_bad=config.max_bad, seed=config.seed)

    def tuned(self, epoch: int) -> bool:
        """Say whether the backbone learns in this epoch, counted from 0."""
        start = self.config.fine_tune_from
        return start is not None and epoch + 1 >= start

    def shown(self, split: str, name: str) -> Shown:
        """Return what the report shows of an example: the picture as it is stored."""
        return Shown(picture=self._pictures(split)[name], grid=self.grid)

    def _table(self, split: str, tuned: bool) -> Table:
        """Return a split's rows: features of the frozen backbone, or pixels for a tuned one."""
        split = whole_split(split)
        return table(
            self.prepared,
            split,
            self.cache,
            size=self.size,
            flips=self.config.flips and split == whole_split(self.config.train_split),
            variation=self.variation,
            backbone=None if tuned else self.backbone,
            backbone_fingerprint="" if tuned else self._fingerprint,
        )


def whole_split(split: str) -> str:
    """Return the split that a TFDS slice is cut from.

    >>> whole_split("train[:95%]")
    'train'
    """
    return re.split(r"[\[+]", split, maxsplit=1)[0]
