"""A frozen backbone as `wordreel prepare` runs it: encoded images → the rows that training uses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from data.common.errors import UserError
from models.backbones.factory import add_pooling, build_backbone, default_image_size, fingerprint
from models.backbones.names import starts_random
from pipelines.inputs.feature_cache import VERSION, row_function
from pipelines.preprocessing.images import decode_image

BATCH = 8  # images in a call: with one thread, activations then stay in the processor's cache


def settings(
    backbone: str,
    weights: str = "auto",
    size: int | None = None,
    *,
    pooled: bool = False,
    flips: bool = False,
) -> dict[str, Any]:
    """Return the description of an encoder that a job stores, as JSON values.

    `pooled` stores the mean of the grid instead of the grid, `flips` the features of the mirrored
    image as well; for the others, see `build_backbone`.

    Raises:
        UserError: for a backbone that does not exist or cannot be loaded.
    """
    try:
        size = size or default_image_size(backbone)
        model = build_backbone(backbone, weights=weights, image_size=size)
    except ValueError as error:
        raise UserError(f"--features {backbone}: {error}") from error
    if starts_random(backbone, weights):
        raise UserError(
            f"--features {backbone}: random weights differ in every process; name a backbone with "
            "pretrained weights"
        )
    _, rows, columns, depth = model.compute_output_shape((1, size, size, 3))
    stored = [depth] if pooled else [rows * columns, depth]
    return {
        "version": VERSION,
        "backbone": backbone,
        "weights": weights,
        "size": size,
        "pooled": pooled,
        "flips": flips,
        "shape": [2, *stored] if flips else stored,
        "fingerprint": fingerprint(model),
    }


class FrozenEncoder:
    """Encoded images → rows of features."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        """Load the backbone.

        Raises:
            UserError: if its weights are not those that the job started with.
        """
        self.size = settings["size"]
        self.backbone = build_backbone(
            settings["backbone"], weights=settings["weights"], image_size=self.size
        )
        if fingerprint(self.backbone) != settings["fingerprint"]:
            raise UserError(
                f"{settings['backbone']} has other weights on this machine than where the job "
                "started: use the same weights file on all machines"
            )
        self.flips = settings["flips"]
        model = add_pooling(self.backbone) if settings["pooled"] else self.backbone
        self.rows = row_function(self.size, self.flips, model).compute
        # One call for a batch: a call takes as long as decoding a small image.
        self._rows_of = tf.function(
            lambda encoded: self.rows(self._decoded(encoded)),
            input_signature=[tf.TensorSpec([None], tf.string)],
            autograph=False,
        )

    def __call__(self, encoded: Sequence[bytes]) -> np.ndarray:
        """Return float16 `[images, cells, depth]`; `[images, 2, ...]` with mirrored images."""
        starts = range(0, len(encoded), BATCH)
        rows = np.concatenate([self._rows_of(encoded[at : at + BATCH]).numpy() for at in starts])
        return rows if self.flips else rows[:, 0]

    def _decoded(self, encoded: tf.Tensor) -> tf.Tensor:
        return tf.map_fn(
            lambda one: decode_image(one, self.size),
            encoded,
            parallel_iterations=1,  # one large image at a time
            fn_output_signature=tf.TensorSpec([self.size, self.size, 3], tf.uint8),
        )
