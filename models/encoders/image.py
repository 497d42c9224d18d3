"""A picture's grid of features → Memory."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from models.layers.linear import Linear
from models.memory import Memory


@keras.saving.register_keras_serializable(package="wordreel")
class ImageEncoder(keras.layers.Layer):
    """Grid cells become the items of a memory; their mean is the summary.

    Each cell's features are projected, told their place, rectified and dropped out,
    m_i = ReLU(W v_i + b + p_i), so that the decoder works in `depth` dimensions whatever the
    backbone's width, and can say where a thing is: attention alone does not know left from right.
    """

    def __init__(
        self, depth: int = 512, dropout: float = 0.5, spread: float = 0.1, **kwargs: Any
    ) -> None:
        """Make an encoder.

        Args:
            depth: dimensions to project to.
            dropout: share of them dropped in training.
            spread: standard deviation of the places at first. Of drawn scenes, 0.5 soon teaches
                which thing is left of which; photos are told slightly better with 0.1.
            kwargs: of `keras.layers.Layer`.
        """
        super().__init__(autocast=False, **kwargs)  # features may come as float16
        self.depth, self.rate, self.spread = depth, dropout, spread
        self.project = Linear(depth, name="project")
        self.dropout = keras.layers.Dropout(dropout)

    def build(self, cells: int, features: int) -> None:
        """Create W, b and p for a grid of `cells` cells of `features` dimensions."""
        self.project.build((None, None, features))
        self.place = self.add_weight(
            shape=(cells, self.depth),
            initializer=keras.initializers.RandomNormal(stddev=self.spread),
            name="place",
        )

    def call(self, cells: tf.Tensor, training: bool = False) -> Memory:
        """Turn `[batch, cells, features]`, of any float type, into a Memory of `depth`."""
        values = tf.nn.relu(self.project(cells) + self.place)
        values = self.dropout(values, training=training)
        mask = tf.ones(tf.shape(values)[:2], tf.bool)
        return Memory(values, mask, tf.reduce_mean(values, axis=1))

    def get_config(self) -> dict[str, Any]:
        """Return what `from_config` needs."""
        own = {"depth": self.depth, "dropout": self.rate, "spread": self.spread}
        return {**super().get_config(), **own}
