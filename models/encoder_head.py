"""Encoder × head: one model for training, validation and export."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import keras
import tensorflow as tf

from models.backbones.batch_norm_folding import freeze_for_inference
from models.memory import Memory, Tensors, memory_shape


class EncoderHead(keras.Model):
    """A backbone (if any), an encoder and a head, applied in that order.

    The shape of the input selects the first layer:

    - pixels `[batch, height, width, 3]` in 0..255 (6 channels for
      `models.backbones.factory.add_frame_differences`): the backbone;
    - feature maps `[batch, height, width, channels]` of its frozen part: its trainable top;
    - features `[batch, cells, depth]` of a frozen backbone: the encoder;
    - token ids, int32 `[batch, time]`: the encoder.

    A clip is a pair: pixels or features of its frames, `[batch, time, ...]`, and a mask, bool
    `[batch, time]`.
    """

    def __init__(
        self,
        backbone: Callable[..., tf.Tensor] | None,
        encoder: keras.layers.Layer,
        head: keras.layers.Layer,
        top: keras.Model | None = None,
        **model: Any,
    ) -> None:
        """Join a built encoder and a head, which is built here if it is not yet.

        `backbone` maps pixels to a grid or vector of features; `top` is its trainable part;
        `model`: the arguments of `keras.Model`.
        """
        super().__init__(**model)
        self.backbone, self.encoder, self.head, self.top = backbone, encoder, head, top
        if not head.built:
            head.build(memory_shape(encoder.depth))
        self.built = True

    def encode(
        self, inputs: Tensors, *, training: bool = False, tune_backbone: bool = False
    ) -> Memory:
        """Encode a batch; without `training` and `tune_backbone`, the backbone gets no gradient."""
        features, *mask = inputs if isinstance(inputs, tuple) else (inputs,)
        if self.backbone is not None and features.shape.rank == 4 + len(mask):
            train_backbone = training and tune_backbone
            layers: Any = self.backbone if features.shape[-1] in (3, 6) else self.top
            features = apply_backbone(
                layers, features, mask[0] if mask else None, training=train_backbone
            )
            if not train_backbone:
                features = tf.stop_gradient(features)
        return self.encoder(features, *mask, training=training)

    def call(self, inputs: Tensors | Mapping[str, Tensors], training: bool = False) -> tf.Tensor:
        """Return logits: of classes, or of the word after each token.

        Args:
            inputs: those of the model; for a decoder `{"inputs": …, "tokens": …}`, with the words
                before those to predict, int32 `[batch, time]`.
            training: whether to apply dropout, and to train a trainable backbone.

        Returns:
            `[batch, classes]` or `[batch, time, vocabulary]`.
        """
        given = inputs if isinstance(inputs, Mapping) else {"inputs": inputs}
        tunes = bool(getattr(self.backbone, "trainable", False))
        memory = self.encode(given["inputs"], training=training, tune_backbone=tunes)
        tokens = [given["tokens"]] if "tokens" in given else []
        return self.head(memory, *tokens, training=training)

    def optimize_for_inference(self) -> EncoderHead:
        """Return a faster model with the same outputs, for inference only."""
        backbone = None if self.backbone is None else freeze_for_inference(self.backbone)
        return EncoderHead(backbone, self.encoder, self.head.optimize_for_inference())

    def training_loss(
        self,
        inputs: Tensors,
        targets: Tensors,
        *,
        tune_backbone: bool = False,
        **options: tf.Tensor | float,
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
    """Pass images, or the frames of clips, through a backbone.

    Args:
        backbone: from float32 `[batch, height, width, 3 or 6]` to a grid or a vector of features.
        pixels: in 0..255, `[batch, height, width, 3 or 6]`; of clips `[batch, time, ...]`; feature
            maps for the top of a backbone.
        mask: of clips, bool `[batch, time]`; padded frames are skipped.
        training: whether the backbone runs in training mode.

    Returns:
        `[batch, cells, depth]` of a grid, `[batch, depth]` of a vector; of clips
        `[batch, time, ...]`, zero for padded frames.
    """
    images = pixels if mask is None else tf.boolean_mask(pixels, mask)
    features = backbone(tf.cast(images, tf.float32), training=training)
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
