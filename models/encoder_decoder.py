"""Encoder × head: one model for training, validation and export."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from models.memory import Memory


class EncoderHead(keras.layers.Layer):
    """A backbone (if any), an encoder and a head, in that order.

    Inputs come in forms that the shape tells apart: pixels, float `[batch, height, width, 3]` in
    0..255, pass through the backbone; `[batch, height, width, channels]`, what its frozen part said
    of them earlier, through the part above; its features, `[batch, cells, depth]`, computed earlier
    by a frozen one, go straight to the encoder, and so do word ids, int32 `[batch, time]`.
    """

    def __init__(
        self,
        backbone: keras.Model | None,
        encoder: Any,
        head: Any,
        top: keras.Model | None = None,
        **kwargs: Any,
    ) -> None:
        """Join the parts.

        Args:
            backbone: pixels → grid; None for texts.
            encoder: built.
            head: gets its weights here.
            top: the part of the backbone that learns, if another never does.
            kwargs: of `keras.layers.Layer`.
        """
        super().__init__(**kwargs)
        self.backbone, self.encoder, self.head, self.top = backbone, encoder, head, top
        head.build(encoder.depth)

    def remember(
        self, inputs: tf.Tensor, *, training: bool = False, tune_backbone: bool = False
    ) -> Memory:
        """Encode a batch.

        Only with `training` and `tune_backbone` does the backbone learn; else it is a function
        of the pixels alone.
        """
        if self.backbone is not None and inputs.shape.rank == 4:
            learns = training and tune_backbone
            part: Any = self.backbone if inputs.shape[-1] == 3 else self.top
            inputs = cells(part(tf.cast(inputs, tf.float32), training=learns))
            if not learns:
                inputs = tf.stop_gradient(inputs)
        return self.encoder(inputs, training=training)

    def loss(
        self, inputs: tf.Tensor, targets: Any, *, tune_backbone: bool = False, **options: Any
    ) -> tf.Tensor:
        """Return the head's mean training loss, a scalar."""
        memory = self.remember(inputs, training=True, tune_backbone=tune_backbone)
        return self.head.loss(memory, targets, **options)


def cells(grid: tf.Tensor) -> tf.Tensor:
    """Flatten a grid: `[batch, rows, columns, depth]` → `[batch, rows * columns, depth]`."""
    batch, rows, columns, _ = tf.unstack(tf.shape(grid))
    return tf.reshape(grid, [batch, rows * columns, grid.shape[-1]])
