"""Preprocess clips from untrusted bytes or pixels in TensorFlow ops, as part of an export."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import keras
import tensorflow as tf

from pipelines.config.crop import Box
from pipelines.preprocessing.images import check_valid, decode_or_flag
from pipelines.preprocessing.resize import resize

Clips = tuple[tf.Tensor, tf.Tensor]  # uint8 frames, and the mask of valid ones
Read = Callable[[tf.Tensor], tuple[Clips, tf.Tensor]]


@keras.saving.register_keras_serializable("wordreel")
@dataclasses.dataclass(frozen=True)
class ClipPreprocessing:
    """The input of an export whose model takes a clip."""

    size: int  # pixels per side that the backbone takes
    box: Box | None  # crop of each frame; None: the whole frame
    max_frames: int | None  # one frame of each of so many equal segments; None: all frames
    sampling: Mapping[str, object]  # which frames to send: `data.media.sampling.Sampling`
    views: int = 1  # 2: each frame is stacked with the one before it, along the channels
    cells: int = 1  # attention weights per frame

    signature = tf.TensorSpec([None, None], tf.string, "frame_bytes")

    @property
    def more_signatures(self) -> dict[str, tuple[tf.TensorSpec, Read]]:
        """Further signatures of an export: their inputs, and the functions that read them."""
        frames = tf.TensorSpec([None, None, None, None, 3], tf.uint8, "frames")
        return {"frames": (frames, self.read_pixels)}

    def read_in_graph(self, frame_bytes: tf.Tensor) -> tuple[Clips, tf.Tensor]:
        """Return the model's input and which clips have a valid frame.

        Args:
            frame_bytes: string `[batch, time]`, encoded images; "" is padding, at any position.

        Returns:
            The model's input: uint8 `[batch, frames, size, size, 3 * views]` (the frame itself for
            an invalid previous one) and the mask of its valid frames, bool `[batch, frames]`; and
            which clips are valid, bool `[batch]`.
        """
        selected, mask = self._select(frame_bytes, tf.not_equal(frame_bytes, ""))
        places = tf.where(mask)
        encoded = tf.reshape(tf.boolean_mask(selected, mask), [-1])
        images, valid = decode_or_flag(encoded, self.size, box=self.box)
        images = tf.reshape(images, [-1, self.views, self.size, self.size, 3])
        valid = tf.reshape(valid, [-1, self.views])
        images = tf.where(valid[..., None, None, None], images, images[:, :1])
        shape, pixels = tf.shape(mask, tf.int64), [self.size, self.size, 3 * self.views]
        frames = tf.concat([shape, pixels], axis=0)
        frames = tf.scatter_nd(places, self._stack_views(images), frames)
        frames, mask = _real_first(frames, tf.scatter_nd(places, valid[:, 0], shape))
        return (tf.ensure_shape(frames, [None, None, *pixels]), mask), tf.reduce_any(mask, axis=1)

    def read_pixels(self, frames: tf.Tensor) -> tuple[Clips, tf.Tensor]:
        """Read decoded frames, uint8 `[batch, time, height, width, 3]`, which are all valid.

        Returns: see `read_in_graph`.
        """
        selected, mask = self._select(frames, tf.ones(tf.shape(frames)[:2], tf.bool))
        shape, pixels = tf.shape(selected), [self.size, self.size, 3]
        images = tf.reshape(selected, tf.concat([[-1], shape[3:]], axis=0))
        images = resize(images, self.size, self.box)
        images = tf.reshape(images, tf.concat([shape[:2], [self.views, *pixels]], axis=0))
        return (self._stack_views(images), mask), tf.reduce_any(mask, axis=1)

    def read(self, clips: tf.Tensor) -> Clips:
        """Return the model's input for encoded frames, string `[batch, time]`, or for pixels.

        Raises:
            ValueError: for another shape or dtype.
            tf.errors.InvalidArgumentError: for a clip without a valid frame.
        """
        if clips.dtype == tf.string and clips.shape.rank == 2:
            inputs, valid = self.read_in_graph(clips)
        elif clips.dtype == tf.uint8 and clips.shape.rank == 5 and clips.shape[-1] == 3:
            inputs, valid = self.read_pixels(clips)
        else:
            raise ValueError(
                "clips must be frames, uint8 [batch, time, height, width, 3], RGB, or encoded "
                f"frames, string [batch, time]; got {clips.dtype.name} {clips.shape.as_list()}"
            )
        return check_valid(inputs, valid, "has no valid frame")

    def _stack_views(self, images: tf.Tensor) -> tf.Tensor:
        """Reshape `[..., views, size, size, 3]` to `[..., size, size, 3 * views]`."""
        views = [images[..., view, :, :, :] for view in range(self.views)]
        return tf.concat(views, axis=-1)

    def _select(self, frames: tf.Tensor, real: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Select the frames that `select_frames` selects without `rng`, at least one.

        `[batch, time, ...]` → `[batch, frames, views, ...]`; of both masks, the second has the
        padding last.
        """
        shape = tf.shape(frames)
        none = tf.cast(shape[1:2] == 0, tf.int32)  # some ops fail for a clip without frames
        blank = tf.zeros(tf.concat([shape[:1], none, shape[2:]], axis=0), frames.dtype)
        frames = tf.concat([frames, blank], axis=1)
        real = tf.concat([real, tf.zeros(tf.shape(blank)[:2], tf.bool)], axis=1)
        frames, real = _real_first(frames, real)
        lengths = tf.reduce_sum(tf.cast(real, tf.int32), axis=1)
        counts = lengths if self.max_frames is None else tf.minimum(lengths, self.max_frames)
        steps = tf.range(tf.maximum(tf.reduce_max(counts), 1))
        mask = steps < counts[:, tf.newaxis]
        share = tf.cast(lengths, tf.float64) / tf.cast(tf.maximum(counts, 1), tf.float64)
        places = (tf.cast(steps, tf.float64) + 0.5) * share[:, tf.newaxis]
        places = tf.where(mask, tf.cast(places, tf.int32), 0)
        views = [places, tf.maximum(places - 1, 0)][: self.views]
        return tf.gather(frames, tf.stack(views, axis=-1), batch_dims=1), mask

    def description(self) -> dict[str, object]:
        """Return the `input` entry of an export's wordreel.json."""
        return {
            "image_size": self.size,
            "crop": self.box,
            "clip_frames": self.max_frames,
            "sampling": dict(self.sampling),
            "cells": self.cells,
        }

    def get_config(self) -> dict[str, object]:
        """Return the arguments of the constructor."""
        return dataclasses.asdict(self)

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> ClipPreprocessing:
        """Return the preprocessing of `get_config`."""
        box = config["box"] and tuple(config["box"])
        return cls(**{**config, "box": box})


def _real_first(frames: tf.Tensor, real: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Move the real frames to the front of each row, in order."""
    order = tf.argsort(tf.where(real, 0, 1), axis=1, stable=True)
    return tf.gather(frames, order, batch_dims=1), tf.gather(real, order, batch_dims=1)
