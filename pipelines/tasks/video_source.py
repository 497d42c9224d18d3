"""Clips as the input of a task: a backbone for each frame, an encoder over time, their tables."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from data.annotations.splits import whole_split
from data.media.sampling import Sampling
from data.storage.cache import data_home
from data.video.datasets import default_sampling, prepare_clips
from data.video.prepared import PreparedClips
from models.backbones.factory import as_vector, fingerprint, to_vector, with_changes
from models.encoders.video import VideoEncoder
from pipelines.config.config import Config
from pipelines.config.crop import crop_box
from pipelines.config.task import TASKS
from pipelines.inputs.feature_cache import EncodedPictures, stored_rows
from pipelines.inputs.precomputed_features import brings_rows
from pipelines.inputs.tables import ClipTable
from pipelines.preprocessing.augmentation import tells_sides
from pipelines.preprocessing.clips import ClipBytes
from pipelines.preprocessing.frame_selection import select_frames
from pipelines.reports.thumbnails import Preview, strip
from pipelines.tasks.image_source import augmentation_of, chosen_backbone


class VideoSource(ClipBytes):
    """The clips of a prepared dataset, and the parts of the model that see them.

    Attributes:
        backbone: pixels of a frame → a vector of features.
        top: None; all of it learns or nothing.
        encoder: the frames' features → Memory.
        notes: what the report has to say of the inputs.
    """

    top = None

    def __init__(self, config: Config, prepared: PreparedClips, run_dir: Path) -> None:
        """Build the backbone; no frame is read yet, and nothing of it lies in `run_dir`."""
        self.config, self.prepared = config, prepared
        self.cache = data_home() / "tables"  # all runs share them
        self.notes: list[str] = []
        self.augmentation = augmentation_of(config)
        grid, size = chosen_backbone(config)
        pairs = config.motion == "pixels"
        self._grid = fingerprint(grid) if prepared.encoder else ""
        if config.frame_pooling != "spatial+cells":
            grid = to_vector(grid, places=config.frame_pooling == "spatial")
        self.backbone = with_changes(grid) if pairs else grid
        *cells, depth = self.backbone.output_shape[1:]
        super().__init__(
            size,
            crop_box(config.crop),
            config.clip_frames,
            prepared.sampling,
            views=1 + pairs,
            cells=math.prod(cells),
        )
        self.encoder = VideoEncoder(
            cell=config.cell,
            units=config.units,
            layers=config.layers,
            bidirectional=config.bidirectional,
            motion=config.motion == "features",
            norm=config.frame_normalization,
            times=config.frame_time_embedding,
            dropout=config.dropout,
        )
        self.encoder.build(depth, self.cells if cells else None)
        self._fingerprint = fingerprint(self.backbone)
        self.table = functools.cache(self._table)  # of (split, tuned)
        self._clips = functools.cache(lambda split: dict(prepared.frames(split)))

    @staticmethod
    def prepare(config: Config) -> PreparedClips:
        """Return the dataset of a run, its frames stored first unless they are there."""
        sampling = None
        if config.sample_frames or config.sample_rate:
            usual = default_sampling(config.data)
            sampling = Sampling(config.sample_frames, config.sample_rate, max_side=usual.max_side)
        return prepare_clips(
            config.data,
            config.source,
            sampling=sampling,
            fold=config.fold,
            max_bad=config.max_bad,
            seed=config.seed,
        )

    @staticmethod
    def inputs(prepared: Any, split: str) -> Iterable[tuple[str, Any]]:
        """Return the id of each example of a split, and what an export is asked of it."""
        return prepared.frames(split)

    def tuned(self, epoch: int) -> bool:
        """Say whether the backbone learns in this epoch, counted from 0."""
        return self.config.tunes(epoch)

    def shown(self, split: str, name: str) -> Preview:
        """Return what the report shows of an example: frames side by side, as they are stored."""
        if not self.prepared.has_pixels():
            return Preview(text=name)
        frames = self._clips(split)[name]
        chosen, _ = select_frames(np.array([len(frames)]), self.most)
        seen = [frames[number] for number in chosen[0]]
        return Preview(image=strip(seen), grid=(1, len(seen)))

    def _table(self, split: str, tuned: bool) -> ClipTable:
        """Return a split's rows: features of the frozen backbone, or pixels for a tuned one."""
        config, prepared, split = self.config, self.prepared, whole_split(split)
        pairs, flips = self.views == 2, config.flips and split == whole_split(config.train_split)
        brought = brings_rows(
            prepared,
            size=self.size,
            fingerprint=self._grid,
            flips=flips,
            pooled=config.frame_pooling == "mean",
            cropped=self.box is not None,
            changing=pairs,
            learns=tuned,
        )
        pictures = EncodedPictures(
            f"{prepared.name}-{split}",
            (prepared.fingerprint, split, "frames"),
            lambda: sum(count for _, count in prepared.lengths(split)),
            lambda: self._encoded(split, pairs and not tuned),
            lambda: prepared.lengths(split),
            (lambda: self._stored(split, 1 + flips)) if brought else None,
            pairs=pairs and not tuned,
        )
        clips, rows = stored_rows(
            pictures,
            self.cache,
            size=self.size,
            box=self.box,
            flips=flips,
            backbone=None if tuned else self.backbone,
            backbone_fingerprint="" if tuned else self._fingerprint,
        )
        names, frames = zip(*clips, strict=True)
        return ClipTable(
            names,
            np.array(frames),
            rows,
            pairs=pairs and tuned,
            flips=flips and self._may_flip(split, names),
            most=self.most,
            speed_jitter=config.speed_jitter,
            augmentation=self.augmentation,
        )

    def _encoded(self, split: str, pairs: bool) -> Iterator[Any]:
        """Go through the frames of all clips, or through each with the one before it."""
        for _, frames in self.prepared.frames(split):
            before = [frames[0], *frames[:-1]]
            yield from map(list, zip(frames, before, strict=True)) if pairs else frames

    def _may_flip(self, split: str, names: Sequence[str]) -> np.ndarray:
        """Say of which clips a mirror image shows what is told of them, bool `[clips]`."""
        captions = "captions" in TASKS[self.config.task].parts
        told = self.prepared.captions(split) if captions else self.prepared.labels(split)
        sided = {name for name, texts in told if any(map(tells_sides, tf.nest.flatten(texts)))}
        note = f"{len(sided):,} clips of {split} are not mirrored: left or right is told of them"
        if sided and note not in self.notes:
            self.notes.append(note)
            print(note)
        return np.array([name not in sided for name in names])

    def _stored(self, split: str, views: int) -> Iterator[np.ndarray]:
        """Yield a row a frame, float16 `[views, features]`, of the features that are stored."""
        for clip in self.prepared.features(split):
            frames, _, cells, depth = clip.shape
            clip = clip[:, :views]
            if self.config.frame_pooling != "spatial+cells":
                grids = clip.reshape(-1, cells, 1, depth).astype(np.float32)
                vectors = as_vector(grids, places=self.config.frame_pooling == "spatial").numpy()
                clip = vectors.astype(np.float16).reshape(frames, views, -1)
            yield from clip
