"""Feature grid of an image → Memory."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from models.layers.linear import Layer, Linear
from models.memory import Memory


@keras.saving.register_keras_serializable("wordreel")
class ImageEncoder(Layer):
    """The grid cells become the items of a memory; their mean is the summary.

    m_i = ReLU(W v_i + b + p_i), with dropout: the features v_i of each cell are projected to
    `depth` dimensions, and a learned position embedding p_i is added, since attention alone cannot
    distinguish left from right.
    """

    def __init__(
        self, depth: int = 512, dropout: float = 0.5, spread: float = 0.1, **layer: Any
    ) -> None:
        """Create an encoder.

        Args:
            depth: dimensions of the items.
            dropout: dropout rate of the items.
            spread: standard deviation of the initial position embeddings. With 0.5 synthetic
                scenes teach spatial relations sooner; photos score slightly better with 0.1.
            layer: the arguments of `keras.layers.Layer`.
        """
        super().__init__(**{"autocast": False, **layer})  # features may be float16
        self.depth, self.spread = depth, spread
        self.project = Linear(depth, name="project", dtype=self.dtype_policy)
        self.dropout = keras.layers.Dropout(dropout, dtype=self.dtype_policy)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create W, b and p for grids `[batch, cells, features]`."""
        self.project.build(input_shape)
        self.place = self.add_weight(
            shape=(input_shape[1], self.depth),
            initializer=keras.initializers.RandomNormal(stddev=self.spread),
            name="place",
        )

    def call(self, cells: tf.Tensor, training: bool = False) -> Memory:
        """Encode `[batch, cells, features]`, of any float type, into a Memory of `depth`."""
        values = tf.nn.relu(self.project(self.cast(cells)) + self.cast(self.place))
        values = self.dropout(values, training=training)
        mask = tf.ones(tf.shape(values)[:2], tf.bool)
        return Memory(values, mask, tf.reduce_mean(values, axis=1))

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        own = {"depth": self.depth, "dropout": self.dropout.rate, "spread": self.spread}
        return {**super().get_config(), **own}
