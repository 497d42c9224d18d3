"""What an encoder hands to a head."""

from __future__ import annotations

from typing import Any, NamedTuple

import tensorflow as tf


class Memory(NamedTuple):
    """An encoded picture, clip or sentence.

    Attributes:
        values: float32 `[batch, items, depth]`; items are grid cells, frames or tokens.
        mask: bool `[batch, items]`, true where an item is real.
        summary: float32 `[batch, depth]`, the whole in one vector.
    """

    values: tf.Tensor
    mask: tf.Tensor
    summary: tf.Tensor


def select(nest: Any, rows: tf.Tensor) -> Any:
    """Take rows, int32 `[n]`, of every tensor of a nest: `[batch, ...]` → `[n, ...]`."""
    return tf.nest.map_structure(lambda x: tf.gather(x, rows), nest)
