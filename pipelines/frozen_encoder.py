"""A frozen backbone as a job runs it: encoded pictures → float16 rows, the same as in training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from data.errors import UserError
from models.backbones import build_backbone, default_image_size, fingerprint
from models.encoder_decoder import cells
from pipelines.features import VERSION, decode_picture

BATCH = 32


def settings(backbone: str, weights: str | None, size: int | None, pooled: bool) -> dict[str, Any]:
    """Return what a job says of its encoder, JSON.

    Raises:
        UserError: for a backbone that does not exist or cannot be loaded.
    """
    try:
        size = size or default_image_size(backbone)
        model = build_backbone(backbone, weights=weights, image_size=size)
    except ValueError as error:
        raise UserError(f"--features {backbone}: {error}") from error
    if weights == "random" or (weights is None and model.name == "small_cnn"):
        raise UserError(f"--features {backbone}: random weights, other ones in every process")
    _, rows, columns, depth = model.compute_output_shape((1, size, size, 3))
    return {
        "version": VERSION,
        "backbone": backbone,
        "weights": weights,
        "size": size,
        "pooled": pooled,
        "shape": [depth] if pooled else [rows * columns, depth],
        "fingerprint": fingerprint(model),
    }


class FrozenEncoder:
    """Encoded pictures → their rows."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        """Load the backbone.

        Raises:
            UserError: if it is not the one that the job began with.
        """
        self.size, self.pooled = settings["size"], settings["pooled"]
        self.backbone = build_backbone(
            settings["backbone"], weights=settings["weights"], image_size=self.size
        )
        if fingerprint(self.backbone) != settings["fingerprint"]:
            raise UserError(f"{settings['backbone']} has other weights here than where it began")
        self.rows = tf.function(
            self._traced, input_signature=[tf.TensorSpec([None, self.size, self.size, 3], tf.uint8)]
        )
        self._decode = tf.function(
            lambda encoded: decode_picture(encoded, self.size),
            input_signature=[tf.TensorSpec([], tf.string)],
        )

    def _traced(self, pictures: tf.Tensor) -> tf.Tensor:
        rows = cells(self.backbone(tf.cast(pictures, tf.float32), training=False))
        return tf.cast(tf.reduce_mean(rows, 1) if self.pooled else rows, tf.float16)

    def __call__(self, encoded: Sequence[bytes]) -> np.ndarray:
        """Return the rows of pictures, float16 `[pictures, cells, depth]`, pooled without cells."""
        parts = []
        for start in range(0, len(encoded), BATCH):
            pictures = tf.stack([self._decode(one) for one in encoded[start : start + BATCH]])
            parts.append(self.rows(pictures).numpy())
        return np.concatenate(parts)
