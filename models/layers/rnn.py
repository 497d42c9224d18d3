"""Any cell along a sequence: with masks, in one or both directions, in layers."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from models.layers.cells import CELLS, Cell
from models.layers.unroll import unroll


def run_cell(
    cell: Cell, inputs: tf.Tensor, mask: tf.Tensor, *, backwards: bool = False
) -> tf.Tensor:
    """Run a cell along sequences; where an item is not real, the state stays as it was.

    Args:
        cell: a built one.
        inputs: float32 `[batch, time, depth]`.
        mask: bool `[batch, time]`, true where an item is real.
        backwards: whether to go from the last item to the first.

    Returns:
        h after each item, in the order of the items, float32 `[batch, time, units]`. So the state
        after the whole sequence is the last of them, backwards the first, whatever is padding.
    """
    real = tf.cast(mask, tf.float32)[..., tf.newaxis]
    elements = tf.concat([cell.project(inputs), real], axis=-1)
    if backwards:
        elements = tf.reverse(elements, axis=[1])

    def step(element: tf.Tensor, state: Any) -> tuple[tf.Tensor, Any]:
        real = element[:, -1:] > 0
        after = cell.step(element[:, :-1], state)
        state = tf.nest.map_structure(lambda new, old: tf.where(real, new, old), after, state)
        return state.h, state

    outputs = unroll(step, elements, cell.initial_state(tf.shape(inputs)[0]), cell.name)
    return tf.reverse(outputs, axis=[1]) if backwards else outputs


@keras.saving.register_keras_serializable(package="wordreel")
class Recurrent(keras.layers.Layer):
    """Stacked layers of a cell, one-way or bidirectional (Schuster & Paliwal 1997), with dropout.

    Without any layer, the baseline, no order is known: items stay as they are, and their mean
    stands for the state at the end.

    Attributes:
        depth: of what is returned; known once built.

    >>> layer = Recurrent("gru", 3, layers=2, bidirectional=True)
    >>> layer.build((None, None, 5))
    >>> outputs, last = layer(tf.zeros([4, 7, 5]), tf.ones([4, 7], tf.bool))
    >>> tuple(outputs.shape), tuple(last.shape)
    ((4, 7, 6), (4, 6))
    """

    def __init__(
        self,
        cell: str,
        units: int,
        *,
        layers: int = 1,
        bidirectional: bool = False,
        dropout: float = 0.0,
        **kwargs: Any,
    ) -> None:
        """Make the cells.

        Args:
            cell: a name in `models.layers.cells.CELLS`.
            units: hidden units of each cell.
            layers: how many stand upon each other; 0 for the mean.
            bidirectional: whether each layer runs backwards as well, and hands on both.
            dropout: share of the values between layers dropped in training.
            kwargs: of `keras.layers.Layer`.

        Raises:
            ValueError: if there is no such cell.
        """
        super().__init__(**kwargs)
        if cell not in CELLS:
            raise ValueError(f"unknown cell {cell!r}; known: {', '.join(CELLS)}")
        self.cell, self.units, self.rate = cell, units, dropout
        self.layers, self.bidirectional = layers, bidirectional
        ways = ("forwards", "backwards") if bidirectional else ("forwards",)
        self.cells = [
            [CELLS[cell](units, name=f"{way}_{number}") for way in ways] for number in range(layers)
        ]
        for one in (each for cells in self.cells for each in cells):
            setattr(self, one.name, one)  # a checkpoint finds attributes, not lists of layers
        self.dropouts = [keras.layers.Dropout(dropout) for _ in range(layers - 1)]

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create the weights for inputs `[batch, time, input_shape[-1]]`."""
        depth: Any = input_shape[-1]
        for cells in self.cells:
            for cell in cells:
                cell.build((None, depth))
            depth = self.units * len(cells)
        self.depth = depth
        self.built = True

    def call(
        self, inputs: tf.Tensor, mask: tf.Tensor, training: bool = False
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Run along sequences.

        Args:
            inputs: float32 `[batch, time, depth]`.
            mask: bool `[batch, time]`, true where an item is real.
            training: whether to drop out.

        Returns:
            The last layer's h after each item, float32 `[batch, time, self.depth]`; and its state
            at the end of each way, `[batch, self.depth]`.
        """
        real = tf.cast(mask, tf.float32)[..., tf.newaxis]
        end = tf.reduce_sum(real * inputs, axis=1) / tf.maximum(tf.reduce_sum(real, axis=1), 1.0)
        for number, cells in enumerate(self.cells):
            if number:
                inputs = self.dropouts[number - 1](inputs, training=training)
            ways = [run_cell(cells[0], inputs, mask)]
            ends = [ways[0][:, -1]]
            if self.bidirectional:
                ways.append(run_cell(cells[1], inputs, mask, backwards=True))
                ends.append(ways[1][:, 0])
            inputs, end = tf.concat(ways, axis=-1), tf.concat(ends, axis=-1)
        return inputs, end

    def get_config(self) -> dict[str, Any]:
        """Return what `from_config` needs."""
        return {
            **super().get_config(),
            "cell": self.cell,
            "units": self.units,
            "layers": self.layers,
            "bidirectional": self.bidirectional,
            "dropout": self.rate,
        }
