"""Clips from bytes or pixels that nobody has checked, with stock TensorFlow ops."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf

from pipelines.config.crop import Box
from pipelines.preprocessing.images import decode_or_flag
from pipelines.preprocessing.resize import resized

Read = Callable[[tf.Tensor], tuple[Any, tf.Tensor]]


class ClipBytes:
    """What an export takes where the input is a clip.

    Attributes:
        size: pixels a side that the backbone takes.
        box: the part of a frame that counts; None for all of it.
        most: frames that the model sees, one of each of so many equal segments; None: all.
        sampling: which frames of a clip are to be sent, the fields of
        `data.media.sampling.Sampling`.
        views: 2 where each frame comes with the one sent before it, in channels behind its own.
        cells: of a frame, that attention falls on.
    """

    signature = tf.TensorSpec([None, None], tf.string, "frame_bytes")

    def __init__(
        self,
        size: int,
        box: Box | None,
        most: int | None,
        sampling: Mapping[str, Any],
        views: int = 1,
        cells: int = 1,
    ) -> None:
        """Say what the backbone takes and how clips are sampled."""
        self.size, self.box, self.most, self.sampling = size, box, most, sampling
        self.views, self.cells = views, cells

    @property
    def more_signatures(self) -> dict[str, tuple[tf.TensorSpec, Read]]:
        """Other inputs that an export takes, and how each is read."""
        frames = tf.TensorSpec([None, None, None, None, 3], tf.uint8, "frames")
        return {"frames": (frames, self.read_pixels)}

    def read_in_graph(self, frame_bytes: tf.Tensor) -> tuple[Any, tf.Tensor]:
        """Turn an export's input into the model's; say which clips have a usable frame.

        Args:
            frame_bytes: string `[batch, time]`, encoded pictures; "" is padding, wherever it is.

        Returns:
            uint8 `[batch, frames, size, size, 3 * views]` with what is a frame, bool
            `[batch, frames]`, both for the model: what cannot be decoded is no frame, and one
            before it that cannot counts as the same. And bool `[batch]`.
        """
        chosen, mask = self._choose(frame_bytes, tf.not_equal(frame_bytes, ""))
        places = tf.where(mask)
        encoded = tf.reshape(tf.boolean_mask(chosen, mask), [-1])
        pictures, usable = decode_or_flag(encoded, self.size, box=self.box)
        pictures = tf.reshape(pictures, [-1, self.views, self.size, self.size, 3])
        usable = tf.reshape(usable, [-1, self.views])
        pictures = tf.where(usable[..., None, None, None], pictures, pictures[:, :1])
        shape, pixels = tf.shape(mask, tf.int64), [self.size, self.size, 3 * self.views]
        frames = tf.concat([shape, pixels], axis=0)
        frames = tf.scatter_nd(places, self._beside(pictures), frames)
        frames, mask = _in_front(frames, tf.scatter_nd(places, usable[:, 0], shape))
        return (tf.ensure_shape(frames, [None, None, *pixels]), mask), tf.reduce_any(mask, axis=1)

    def read_pixels(self, frames: tf.Tensor) -> tuple[Any, tf.Tensor]:
        """Do the same with decoded frames, uint8 `[batch, time, height, width, 3]`, all real."""
        chosen, mask = self._choose(frames, tf.ones(tf.shape(frames)[:2], tf.bool))
        shape, pixels = tf.shape(chosen), [self.size, self.size, 3]
        pictures = tf.reshape(chosen, tf.concat([[-1], shape[3:]], axis=0))
        pictures = resized(pictures, self.size, self.box)
        pictures = tf.reshape(pictures, tf.concat([shape[:2], [self.views, *pixels]], axis=0))
        return (self._beside(pictures), mask), tf.reduce_any(mask, axis=1)

    def _beside(self, pictures: tf.Tensor) -> tf.Tensor:
        """Bring `[..., views, size, size, 3]` into `[..., size, size, 3 * views]`."""
        views = [pictures[..., view, :, :, :] for view in range(self.views)]
        return tf.concat(views, axis=-1)

    def _choose(self, frames: tf.Tensor, real: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Select the frames that `frame_selection` selects without chance, at least one.

        Args:
            frames: `[batch, time, ...]`.
            real: bool `[batch, time]`.

        Returns:
            `[batch, frames, views, ...]`, and bool `[batch, frames]`: the padding follows.
        """
        shape = tf.shape(frames)
        none = tf.cast(shape[1:2] == 0, tf.int32)  # not every op takes a clip without any frame
        blank = tf.zeros(tf.concat([shape[:1], none, shape[2:]], axis=0), frames.dtype)
        frames = tf.concat([frames, blank], axis=1)
        real = tf.concat([real, tf.zeros(tf.shape(blank)[:2], tf.bool)], axis=1)
        frames, real = _in_front(frames, real)
        lengths = tf.reduce_sum(tf.cast(real, tf.int32), axis=1)
        counts = lengths if self.most is None else tf.minimum(lengths, self.most)
        steps = tf.range(tf.maximum(tf.reduce_max(counts), 1))
        mask = steps < counts[:, tf.newaxis]
        share = tf.cast(lengths, tf.float64) / tf.cast(tf.maximum(counts, 1), tf.float64)
        places = (tf.cast(steps, tf.float64) + 0.5) * share[:, tf.newaxis]
        places = tf.where(mask, tf.cast(places, tf.int32), 0)
        views = [places, tf.maximum(places - 1, 0)][: self.views]
        return tf.gather(frames, tf.stack(views, axis=-1), batch_dims=1), mask

    def write_assets(self, folder: Path) -> list[Path]:
        """Return what an export carries of the source beside its graph: nothing."""
        del folder
        return []

    def description(self) -> dict[str, Any]:
        """Return what an export's wordreel.json says of the input."""
        return {
            "image_size": self.size,
            "crop": self.box,
            "clip_frames": self.most,
            "sampling": dict(self.sampling),
            "cells": self.cells,
        }


def _in_front(frames: tf.Tensor, real: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Move what is real to the front of each row, in its order."""
    order = tf.argsort(tf.where(real, 0, 1), axis=1, stable=True)
    return tf.gather(frames, order, batch_dims=1), tf.gather(real, order, batch_dims=1)
