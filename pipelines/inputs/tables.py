"""What heads read their inputs from: rows of pictures or of the frames of clips, by position."""

from __future__ import annotations

import dataclasses

import numpy as np
import tensorflow as tf

from pipelines.preprocessing.augmentation import Augmentation
from pipelines.preprocessing.frame_selection import select_frames


@dataclasses.dataclass(frozen=True)
class Table:
    """One row a picture.

    That is uint8 `[height, width, 3]` pixels, float16 `[cells, depth]` features, or float16
    `[height, width, channels]` from the frozen part of a backbone.

    Attributes:
        ids: the pictures' ids, in the order of the rows.
        rows: memory-mapped `[pictures, 1 or 2, ...]`; the second of two is mirrored.
        flips: whether half of the pictures are mirrored, by chance, while learning.
        variation: how else pixels, not features, are varied while learning.
    """

    ids: tuple[str, ...]
    rows: np.ndarray
    flips: bool = False
    augmentation: Augmentation | None = None

    @property
    def spec(self) -> tf.TensorSpec:
        """What `read` returns, with any number of rows."""
        return tf.TensorSpec([None, *self.rows.shape[2:]], self.rows.dtype)

    @property
    def lengths(self) -> list[int]:
        """Return how long each row is: all alike."""
        return [1] * len(self.ids)

    def positions(self) -> dict[str, int]:
        """Return the row of each id."""
        return {name: row for row, name in enumerate(self.ids)}

    def read(self, positions: np.ndarray, chance: np.random.Generator | None = None) -> np.ndarray:
        """Return some pictures' rows, `[len(positions), ...]`; for learning, varied by chance."""
        mirror = mirrored(len(positions), self.flips, chance)
        if self.rows.shape[1] == 2:
            return self.rows[positions, mirror.astype(int)]
        rows = self.rows[positions, 0]
        rows[mirror] = rows[mirror, :, ::-1]
        if self.augmentation and chance and rows.dtype == np.uint8:
            rows = self.augmentation.apply(rows, chance)
        return rows


@dataclasses.dataclass(frozen=True)
class ClipTable:
    """The frames of clips, one row a frame: uint8 pixels or float16 features.

    Attributes:
        ids: the clips' ids.
        frames: of each clip, how many are stored.
        rows: memory-mapped `[frames of all clips, 1 or 2, ...]`; the second of two is mirrored.
        pairs: whether the pixels of the frame before come with each, behind its own channels.
        flips: which clips are mirrored half of the times while learning, bool `[clips]`; or all.
        most: frames of a clip that are read; None for all.
        jitter: how much slower or faster a clip goes while learning, at most, as a share.
        variation: how else the pixels of a clip are varied while learning, all frames alike.
    """

    ids: tuple[str, ...]
    frames: np.ndarray
    rows: np.ndarray
    pairs: bool = False
    flips: np.ndarray | bool = False
    most: int | None = None
    speed_jitter: float = 0.0
    augmentation: Augmentation | None = None

    @property
    def spec(self) -> tuple[tf.TensorSpec, tf.TensorSpec]:
        """What `read` returns."""
        frames = tf.TensorSpec([None, None, *self._shape], self.rows.dtype)
        return frames, tf.TensorSpec([None, None], tf.bool)

    @property
    def _shape(self) -> list[int]:
        """Return the shape of a frame that is read."""
        return [*self.rows.shape[2:-1], self.rows.shape[-1] * (1 + self.pairs)]

    @property
    def lengths(self) -> list[int]:
        """Return how many frames of each clip are read."""
        lengths: list[int] = np.minimum(self.frames, self.most or self.frames).tolist()
        return lengths

    def positions(self) -> dict[str, int]:
        """Return the number of each clip."""
        return {name: number for number, name in enumerate(self.ids)}

    def read(
        self, positions: np.ndarray, chance: np.random.Generator | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return some clips.

        Args:
            positions: their numbers.
            chance: for learning, mirrors clips and moves moments, pixels and light; None: nothing
                does.

        Returns:
            Frames `[clips, time, ...]`, zeros behind the shorter clips, and what is a frame, bool
            `[clips, time]`.
        """
        flips = np.broadcast_to(self.flips, len(self.ids))[positions]
        mirror = mirrored(len(positions), flips, chance)
        chosen, mask = select_frames(self.frames[positions], self.most, chance, self.speed_jitter)
        first = (np.cumsum(self.frames) - self.frames)[positions]
        features = self.rows.shape[1] == 2
        clips = np.zeros([*mask.shape, *self._shape], self.rows.dtype)
        for number in range(len(positions)):
            real = mask[number]
            view = int(features and mirror[number])
            frames = chosen[number, real]
            if self.pairs:
                frames = np.concatenate([frames, np.maximum(frames - 1, 0)])
            clip = self.rows[first[number] + frames, view]
            if clip.dtype == np.uint8:
                clip = np.ascontiguousarray(clip[:, :, ::-1]) if mirror[number] else clip
                if self.augmentation and chance:
                    clip = self.augmentation.apply(clip, chance, alike=True)
            clips[number, real] = np.concatenate(np.split(clip, 1 + self.pairs), axis=-1)
        return clips, mask


def mirrored(
    count: int, flips: np.ndarray | bool, chance: np.random.Generator | None
) -> np.ndarray:
    """Choose which examples are mirrored: half of them where that is asked for, bool `[count]`."""
    return flips & (chance.random(count) < 0.5) if chance else np.zeros(count, bool)
