"""Features of a clip's frames → Memory: an LSTM over time, one- or two-way, or their mean."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from models.linear import Linear
from models.memory import Memory

RECURRENCES = ("lstm", "bidirectional", "mean")


@keras.saving.register_keras_serializable(package="wordreel")
class VideoEncoder(keras.layers.Layer):
    """Frames become the items of a memory, each told what came before it.

    Each frame's features x_t are averaged over its cells, if it has any, and projected,
    v_t = ReLU(W x_t + b). An LSTM reads them in order: its states are the items, its last state
    the summary. Two-way, a second one reads from the last frame to the first; items and summary
    are the halves of both, side by side (Donahue et al. 2015; Venugopalan et al. 2015, S2VT;
    Graves & Schmidhuber 2005). Mean pooling, the baseline, knows no order: the items are the v_t,
    the summary their mean.

    Args:
        depth: of the items and the summary.
        recurrence: "lstm", "bidirectional" or "mean".
        dropout: the share of the v_t that is dropped in training.

    Raises:
        ValueError: for another recurrence, or an odd depth of two ways.
    """

    def __init__(
        self, depth: int = 512, recurrence: str = "lstm", dropout: float = 0.5, **kwargs: Any
    ) -> None:
        super().__init__(autocast=False, **kwargs)  # features may come as float16
        if recurrence not in RECURRENCES:
            raise ValueError(f"recurrence is one of {', '.join(RECURRENCES)}, not {recurrence!r}")
        if recurrence == "bidirectional" and depth % 2:
            raise ValueError(f"two ways share the depth: an even number, not {depth}")
        self.depth, self.recurrence, self.rate = depth, recurrence, dropout
        self.project = Linear(depth, name="project")
        self.dropout = keras.layers.Dropout(dropout)
        ways = {"lstm": ["forwards"], "bidirectional": ["forwards", "backwards"], "mean": []}
        self.ways = [
            keras.layers.LSTM(
                depth // len(ways[recurrence]),
                return_sequences=True,
                name=name,
            )
            for name in ways[recurrence]
        ]

    def build(self, features: int) -> None:
        """Create the weights for features of `features` dimensions."""
        self.project.build((None, None, features))
        for way in self.ways:
            way.build((None, None, self.depth))

    def call(self, frames: tf.Tensor, mask: tf.Tensor, training: bool = False) -> Memory:
        """Encode a batch of clips.

        Args:
            frames: `[batch, time, features]` or `[batch, time, cells, features]`, of any float
                type.
            mask: bool `[batch, time]`, true where a frame is real; padding follows the frames,
                and every clip has at least one.
            training: whether to drop out.

        Returns:
            A Memory of an item a frame: values float32 `[batch, time, depth]`, zero where there
            is no frame; summary float32 `[batch, depth]`.
        """
        frames = tf.cast(frames, tf.float32)
        if frames.shape.rank == 4:
            frames = tf.reduce_mean(frames, axis=2)
        real = tf.cast(mask, tf.float32)[..., tf.newaxis]
        values = self.dropout(tf.nn.relu(self.project(frames)), training=training) * real
        lengths = tf.reduce_sum(tf.cast(mask, tf.int32), axis=1)
        if not self.ways:
            count = tf.cast(tf.maximum(lengths, 1), tf.float32)
            return Memory(values, mask, tf.reduce_sum(values, axis=1) / count[:, tf.newaxis])
        # Reversing only the real frames keeps the padding last, which is where it does no harm:
        # an LSTM has not seen it when it is at the last frame.
        inputs = [values, tf.reverse_sequence(values, lengths, seq_axis=1)]
        outputs = [way(x, training=training) for way, x in zip(self.ways, inputs, strict=False)]
        last = tf.concat([_at(output, lengths - 1) for output in outputs], axis=-1)
        if len(outputs) == 2:
            outputs[1] = tf.reverse_sequence(outputs[1], lengths, seq_axis=1)
        return Memory(tf.concat(outputs, axis=-1) * real, mask, last)

    def get_config(self) -> dict[str, Any]:
        """Return what `from_config` needs."""
        config = {"depth": self.depth, "recurrence": self.recurrence, "dropout": self.rate}
        return {**super().get_config(), **config}


def _at(values: tf.Tensor, places: tf.Tensor) -> tf.Tensor:
    """Take the item at a place of each row: `[batch, time, depth]`, int32 `[batch]`."""
    return tf.gather(values, tf.maximum(places, 0), axis=1, batch_dims=1)
