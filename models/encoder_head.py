"""Encoder × head: one model for training, validation and export."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from models.backbones.batch_norm_folding import freeze_for_inference
from models.memory import Memory


class EncoderHead(keras.layers.Layer):
    """A backbone (if any), an encoder and a head, in that order.

    Inputs come in forms that the shape tells apart: pixels, `[batch, height, width, 3]` in 0..255
    (6 for `add_frame_differences` of `models.backbones.factory`), pass through the backbone;
    `[batch, height, width, channels]`, what its frozen part said of them earlier, through the part
    above; its features,
    `[batch, cells, depth]`, computed earlier by a frozen one, go straight to the encoder, and so do
    word ids, int32 `[batch, time]`. A clip is a pair: pixels or features of its frames,
    `[batch, time, ...]`, and a mask, bool `[batch, time]`.
    """

    def __init__(
        self,
        backbone: Callable[..., tf.Tensor] | None,
        encoder: Any,
        head: Any,
        top: keras.Model | None = None,
        **kwargs: Any,
    ) -> None:
        """Join the parts.

        Args:
            backbone: a model, or what `frozen` made of one: pixels → grid; None for texts.
            encoder: built.
            head: gets its weights here, if it has none.
            top: the part of the backbone that learns, if another never does.
            kwargs: of `keras.layers.Layer`.
        """
        super().__init__(**kwargs)
        self.backbone, self.encoder, self.head, self.top = backbone, encoder, head, top
        if not head.built:
            head.build(encoder.depth)

    def encode(self, inputs: Any, *, training: bool = False, tune_backbone: bool = False) -> Memory:
        """Encode a batch.

        Only with `training` and `tune_backbone` does the backbone learn; else it is a function
        of the pixels alone.
        """
        seen, *mask = inputs if isinstance(inputs, tuple) else (inputs,)
        if self.backbone is not None and seen.shape.rank == 4 + len(mask):
            learns = training and tune_backbone
            part: Any = self.backbone if seen.shape[-1] in (3, 6) else self.top
            seen = apply_backbone(part, seen, mask[0] if mask else None, training=learns)
            if not learns:
                seen = tf.stop_gradient(seen)
        return self.encoder(seen, *mask, training=training)

    def optimize_for_inference(self) -> EncoderHead:
        """Return a model that answers alike, sooner, and learns nothing.

        See `models.backbones.batch_norm_folding`, and `optimize_for_inference` of the head.
        """
        backbone = None if self.backbone is None else freeze_for_inference(self.backbone)
        return EncoderHead(backbone, self.encoder, self.head.optimize_for_inference())

    def loss(
        self, inputs: Any, targets: Any, *, tune_backbone: bool = False, **options: Any
    ) -> tf.Tensor:
        """Return the head's mean training loss, a scalar."""
        memory = self.encode(inputs, training=True, tune_backbone=tune_backbone)
        return self.head.loss(memory, targets, **options)


def apply_backbone(
    backbone: Callable[..., tf.Tensor],
    pixels: tf.Tensor,
    mask: tf.Tensor | None = None,
    training: bool = False,
) -> tf.Tensor:
    """Pass pictures, or the frames of clips, through a backbone.

    Args:
        backbone: from float32 `[batch, height, width, 3 or 6]` to a grid or a vector of features.
        pixels: in 0..255, `[batch, height, width, 3 or 6]`; of clips `[batch, time, ...]`.
        mask: of clips, bool `[batch, time]`; frames that are not real are not looked at.
        training: whether it learns.

    Returns:
        `[batch, cells, depth]` of a grid, `[batch, depth]` of a vector; of clips
        `[batch, time, ...]`, zero where no frame is.
    """
    pictures = pixels if mask is None else tf.boolean_mask(pixels, mask)
    features = backbone(tf.cast(pictures, tf.float32), training=training)
    features = flatten_grid(features) if features.shape.rank == 4 else features
    if mask is None:
        return features
    shape = tf.concat([tf.shape(mask), tf.shape(features)[1:]], axis=0)
    frames = tf.scatter_nd(tf.where(mask), features, tf.cast(shape, tf.int64))
    return tf.ensure_shape(frames, [None, None, *features.shape[1:]])


def flatten_grid(grid: tf.Tensor) -> tf.Tensor:
    """Flatten a grid: `[batch, rows, columns, depth]` → `[batch, rows * columns, depth]`."""
    batch, rows, columns, _ = tf.unstack(tf.shape(grid))
    return tf.reshape(grid, [batch, rows * columns, grid.shape[-1]])
