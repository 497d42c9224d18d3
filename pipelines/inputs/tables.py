"""The model inputs of a split, by row: images, clips or texts."""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from models.tokens import PAD
from pipelines.preprocessing.augmentation import Augmentation
from pipelines.preprocessing.frame_selection import select_frames

Inputs = np.ndarray | tuple[np.ndarray, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Table(abc.ABC):
    """The model inputs of a split, one row per example."""

    ids: tuple[str, ...]  # in the order of the rows

    @property
    @abc.abstractmethod
    def spec(self) -> tf.TensorSpec | tuple[tf.TensorSpec, ...]:
        """The shape and type of what `read` returns, for any number of rows."""

    @property
    def lengths(self) -> list[int]:
        """The number of time steps of each row, 1 for images."""
        return [1] * len(self.ids)

    @abc.abstractmethod
    def read(self, positions: np.ndarray, rng: np.random.Generator | None = None) -> Inputs:
        """Return the model inputs of some rows.

        Args:
            positions: the rows, int `[batch]`.
            rng: of augmentation, in training only.

        Returns:
            `[batch, ...]`; for clips, frames `[batch, time, ...]`, zero after the end of shorter
            clips, and a mask, bool `[batch, time]`, true where a frame is real.
        """

    def positions(self) -> dict[str, int]:
        """Return the row of each id."""
        return {name: row for row, name in enumerate(self.ids)}


@dataclasses.dataclass(frozen=True)
class FrameTable(Table):
    """What images and clips share.

    A frame is uint8 `[height, width, 3]` pixels, float16 `[cells, depth]` or `[depth]` features, or
    float16 `[height, width, channels]` from the frozen part of a backbone.
    """

    rows: np.ndarray  # memory-mapped `[frames, 1 or 2, ...]`; the second of two is mirrored
    flips: np.ndarray | bool = False  # whether to mirror half in training; `[examples]` or for all
    augmentation: Augmentation | None = None  # of pixels, in training

    def _choose_mirrored(
        self, positions: np.ndarray, rng: np.random.Generator | None
    ) -> np.ndarray:
        """Return which examples to mirror, bool `[len(positions)]`."""
        if rng is None:
            return np.zeros(len(positions), bool)
        flips = np.broadcast_to(self.flips, len(self.ids))[positions]
        return flips & (rng.random(len(positions)) < 0.5)

    def _read_frames(
        self,
        frames: np.ndarray,
        mirror: np.ndarray,
        rng: np.random.Generator | None,
        *,
        alike: bool = False,
    ) -> np.ndarray:
        """Return some rows, mirrored and augmented, `[len(frames), ...]`."""
        if self.rows.shape[1] == 2:
            return self.rows[frames, mirror.astype(int)]
        images = self.rows[frames, 0]
        if images.dtype == np.uint8:
            images[mirror] = images[mirror, :, ::-1]
            if self.augmentation and rng:
                images = self.augmentation.apply(images, rng, alike=alike)
        return images


class ImageTable(FrameTable):
    """Images, one row of `rows` each."""

    @property
    def spec(self) -> tf.TensorSpec:
        """The shape and type of what `read` returns."""
        return tf.TensorSpec([None, *self.rows.shape[2:]], self.rows.dtype)

    def read(self, positions: np.ndarray, rng: np.random.Generator | None = None) -> np.ndarray:
        """Return some images, `[len(positions), ...]`."""
        return self._read_frames(positions, self._choose_mirrored(positions, rng), rng)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClipTable(FrameTable):
    """Clips, one row of `rows` per frame."""

    frames: np.ndarray  # stored of each clip, int `[clips]`
    pairs: bool = False  # whether to add the pixels of the frame before as more channels
    max_frames: int | None = None  # read of a clip; None: all
    speed_jitter: float = 0.0  # the largest change of speed in training, as a share

    @property
    def spec(self) -> tuple[tf.TensorSpec, tf.TensorSpec]:
        """The shapes and types of the frames and the mask that `read` returns."""
        frames = tf.TensorSpec([None, None, *self._frame_shape], self.rows.dtype)
        return frames, tf.TensorSpec([None, None], tf.bool)

    @property
    def _frame_shape(self) -> list[int]:
        return [*self.rows.shape[2:-1], self.rows.shape[-1] * (1 + self.pairs)]

    @property
    def lengths(self) -> list[int]:
        """The number of frames read of each clip."""
        lengths: list[int] = np.minimum(self.frames, self.max_frames or self.frames).tolist()
        return lengths

    def read(
        self, positions: np.ndarray, rng: np.random.Generator | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the frames of some clips, `[clips, time, ...]`, and the mask `[clips, time]`."""
        mirror = self._choose_mirrored(positions, rng)
        chosen, mask = select_frames(
            self.frames[positions], self.max_frames, rng, self.speed_jitter
        )
        starts = (np.cumsum(self.frames) - self.frames)[positions]
        clips = np.zeros([*mask.shape, *self._frame_shape], self.rows.dtype)
        for number, start in enumerate(starts):
            real = mask[number]
            frames = chosen[number, real]
            if self.pairs:
                frames = np.concatenate([frames, np.maximum(frames - 1, 0)])
            mirrored = np.full(len(frames), mirror[number])
            clip = self._read_frames(start + frames, mirrored, rng, alike=True)
            clips[number, real] = np.concatenate(np.split(clip, 1 + self.pairs), axis=-1)
        return clips, mask


@dataclasses.dataclass(frozen=True)
class TextTable(Table):
    """Texts as word ids."""

    rows: Sequence[np.ndarray]  # int32 `[START, words…, END]`

    @property
    def spec(self) -> tf.TensorSpec:
        """The shape and type of what `read` returns."""
        return tf.TensorSpec([None, None], tf.int32)

    @property
    def lengths(self) -> list[int]:
        """The number of word ids of each text."""
        return [len(row) for row in self.rows]

    def read(self, positions: np.ndarray, rng: np.random.Generator | None = None) -> np.ndarray:
        """Return some texts, int32 `[len(positions), time]`, padded; `rng` is not used."""
        return pad([self.rows[position] for position in positions])


def pad(sequences: Sequence[np.ndarray]) -> np.ndarray:
    """Stack sequences of different lengths, int32 `[sequences, time]`, with PAD at the end.

    >>> pad([np.array([1, 2]), np.array([1, 7, 2])])
    array([[1, 2, 0],
           [1, 7, 2]], dtype=int32)
    """
    padded = np.full((len(sequences), max(map(len, sequences))), PAD, np.int32)
    for row, sequence in zip(padded, sequences, strict=True):
        row[: len(sequence)] = sequence
    return padded
