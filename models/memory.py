"""The interface between encoders and heads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import tensorflow as tf

# A batch of model inputs or targets: one tensor, or several.
Tensors = tf.Tensor | tuple[tf.Tensor, ...]
MemoryShape = Sequence[tuple[int | None, ...]]  # of the tensors of a `Memory`


class Memory(NamedTuple):
    """An encoded image, clip or sentence.

    Attributes:
        values: `[batch, items, depth]`; items are grid cells, frames or tokens.
        mask: bool `[batch, items]`, true for items, false for padding.
        summary: `[batch, depth]`, one vector for the whole input.
    """

    values: tf.Tensor
    mask: tf.Tensor
    summary: tf.Tensor


def gather_rows(nest: Any, rows: tf.Tensor) -> Any:
    """Gather rows, int32 `[n]`, of every tensor in a nest: `[batch, ...]` → `[n, ...]`."""
    return tf.nest.map_structure(lambda x: tf.gather(x, rows), nest)


def memory_shape(depth: int) -> MemoryShape:
    """Return the shapes of a memory of `depth` dimensions, to build a head."""
    return (None, None, depth), (None, None), (None, depth)
