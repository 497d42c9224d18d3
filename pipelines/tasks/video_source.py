"""Clips as the input of a task: a backbone for each frame, an encoder over time, their tables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from data.sharding.prepare import prepare_clips
from data.video.prepared import StoredClips
from models.backbones.factory import pool_grid
from pipelines.config.config import Config
from pipelines.config.crop import crop_box
from pipelines.config.task import TASKS
from pipelines.inputs.feature_cache import EncodedImages, cached_rows
from pipelines.inputs.precomputed_features import can_use_stored_features
from pipelines.inputs.tables import ClipTable
from pipelines.preprocessing.augmentation import mentions_side
from pipelines.preprocessing.frame_selection import select_frames
from pipelines.reports.thumbnails import Preview, strip
from pipelines.task_models.parts import clip_parts
from pipelines.tasks.media_source import MediaSource


class VideoSource(MediaSource[StoredClips, list[bytes]]):
    """The clips of a prepared dataset, and the parts of the model that encode them."""

    def __init__(self, config: Config, prepared: StoredClips, run_dir: Path) -> None:
        """Build the backbone and the encoder; no frame is read yet."""
        del run_dir
        super().__init__(config, prepared)
        self._to_grid = self.backbone
        self._pairs = config.motion == "pixels"
        parts = clip_parts(config, self.backbone, prepared.sampling)
        self.backbone, self.encoder, self.preprocessing = parts

    @staticmethod
    def prepare(config: Config) -> StoredClips:
        """Return the dataset of a run, its frames stored first unless they are there."""
        return prepare_clips(
            config.data,
            config.source,
            frames=config.sample_frames,
            rate=config.sample_rate,
            fold=config.fold,
            language=config.language,
            max_bad=config.max_bad,
            seed=config.seed,
        )

    def _inputs(self, split: str) -> Iterable[tuple[str, list[bytes]]]:
        return self.prepared.frames(split)

    def _preview(self, encoded: list[bytes]) -> Preview:
        """Return the frames that the model reads, side by side."""
        chosen, _ = select_frames(np.array([len(encoded)]), self.config.clip_frames)
        frames = [encoded[number] for number in chosen[0]]
        return Preview(image=strip(frames), grid=(1, len(frames)))

    def _table(self, split: str, fine_tuned: bool) -> ClipTable:
        config, prepared, flips = self.config, self.prepared, self._flips(split)
        box, encode_pairs = crop_box(config.crop), self._pairs and not fine_tuned
        stored = can_use_stored_features(
            prepared,
            size=self.size,
            backbone=self._to_grid,
            flips=flips,
            fine_tuned=fine_tuned,
            pooled=config.frame_pooling == "mean",
            cropped=box is not None,
            pairs=self._pairs,
        )
        images = EncodedImages(
            f"{prepared.name}-{split}",
            (prepared.fingerprint, split, "frames"),
            count=lambda: sum(count for _, count in prepared.lengths(split)),
            encoded=lambda: self._frames(split, encode_pairs),
            index=lambda: prepared.lengths(split),
            features=(lambda: self._stored_rows(split, 1 + flips)) if stored else None,
            pairs=encode_pairs,
        )
        clips, rows = cached_rows(
            images,
            self.cache,
            size=self.size,
            box=box,
            flips=flips,
            backbone=None if fine_tuned else self.backbone,
        )
        names = tuple(name for name, _ in clips)
        return ClipTable(
            names,
            rows,
            flips and self._can_flip(split, names),
            self.augmentation,
            frames=np.array([count for _, count in clips]),
            pairs=self._pairs and fine_tuned,
            max_frames=config.clip_frames,
            speed_jitter=config.speed_jitter,
        )

    def _frames(self, split: str, pairs: bool) -> Iterator[bytes | list[bytes]]:
        """Yield the frames of all clips; with `pairs`, each with the frame before it."""
        for _, frames in self.prepared.frames(split):
            for before, frame in zip([frames[0], *frames], frames, strict=False):
                yield [frame, before] if pairs else frame

    def _can_flip(self, split: str, names: Sequence[str]) -> np.ndarray:
        """Return which clips keep their captions or label when mirrored, bool `[clips]`."""
        references: list[tuple[str, list[str]]] = (
            self.prepared.captions(split)
            if TASKS[self.config.task].head == "captions"
            else [(name, [label]) for name, label in self.prepared.labels(split)]
        )
        sided = {name for name, texts in references if any(map(mentions_side, texts))}
        note = (
            f"{len(sided):,} clips of {split} are not mirrored: their captions or labels name "
            "left or right"
        )
        if sided and note not in self.notes:
            self.notes.append(note)
            print(note)
        return np.array([name not in sided for name in names])

    def _stored_rows(self, split: str, views: int) -> Iterator[np.ndarray]:
        """Yield the stored features of each frame, float16 `[views, features]`."""
        spatial = self.config.frame_pooling == "spatial"
        for clip in self.prepared.features(split):
            frames, _, cells, depth = clip.shape
            clip = clip[:, :views]
            if self.config.frame_pooling != "spatial+cells":
                grids = clip.reshape(-1, cells, 1, depth).astype(np.float32)
                vectors = pool_grid(grids, spatial=spatial).numpy()
                clip = vectors.astype(np.float16).reshape(frames, views, -1)
            yield from clip
