"""Run any cell over a sequence: masked, in one or both directions, in stacked layers."""

from __future__ import annotations

import itertools
from typing import Any

import keras
import tensorflow as tf

from models.layers.cells import CELLS, Cell
from models.layers.linear import Layer
from models.layers.unroll import unroll


def run_cell(
    cell: Cell, inputs: tf.Tensor, mask: tf.Tensor, *, backwards: bool = False
) -> tf.Tensor:
    """Run a cell over sequences; padding leaves the state unchanged.

    Args:
        cell: a built cell.
        inputs: `[batch, time, depth]`.
        mask: bool `[batch, time]`, false for padding.
        backwards: whether to run from the last item to the first.

    Returns:
        h after each item, in the order of the items, `[batch, time, units]`. The final
        state is the last of them (backwards: the first), also with padding.
    """
    real = cell.cast(mask)[..., tf.newaxis]
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


@keras.saving.register_keras_serializable("wordreel")
class Recurrent(Layer):
    """Stacked recurrent layers, optionally bidirectional (Schuster & Paliwal 1997), with dropout.

    With 0 layers, a baseline that ignores the order, the items are returned unchanged and their
    mean replaces the final state.

    Attributes:
        depth: dimensions of the outputs; set by `build`.
    """

    def __init__(
        self,
        cell: str,
        units: int,
        *,
        layers: int = 1,
        bidirectional: bool = False,
        dropout: float = 0.0,
        **layer: Any,
    ) -> None:
        """Create the cells.

        Args:
            cell: a key of `models.layers.cells.CELLS`.
            units: hidden units of each cell.
            layers: number of stacked layers; 0 for the mean.
            bidirectional: whether each layer also runs backwards; both outputs are concatenated.
            dropout: dropout rate between layers.
            layer: the arguments of `keras.layers.Layer`.
        """
        super().__init__(**{"name": "recurrent", **layer})
        self.cell, self.units, self.layers = cell, units, layers
        self.bidirectional, self.dropout = bidirectional, dropout
        self.supports_masking = True
        directions = ("forwards", "backwards") if bidirectional else ("forwards",)
        self.cells = [
            [
                CELLS[cell](units, name=f"{direction}_{number}", dtype=self.dtype_policy)
                for direction in directions
            ]
            for number in range(layers)
        ]
        for each in itertools.chain.from_iterable(self.cells):
            setattr(self, each.name, each)  # checkpoints track attributes, not nested lists
        self.dropouts = [
            keras.layers.Dropout(dropout, dtype=self.dtype_policy) for _ in range(layers - 1)
        ]

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
        self, inputs: tf.Tensor, mask: tf.Tensor | None = None, training: bool = False
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Run the layers over sequences.

        Args:
            inputs: `[batch, time, depth]`.
            mask: bool `[batch, time]`, false for padding; None: no padding.
            training: whether to apply dropout.

        Returns:
            The last layer's h after each item, `[batch, time, self.depth]`, and the final
            state of each direction, `[batch, self.depth]`.
        """
        if mask is None:
            mask = tf.ones(tf.shape(inputs)[:2], tf.bool)
        real = self.cast(mask)[..., tf.newaxis]
        final = tf.reduce_sum(real * inputs, axis=1) / tf.maximum(tf.reduce_sum(real, axis=1), 1.0)
        for number, cells in enumerate(self.cells):
            if number:
                inputs = self.dropouts[number - 1](inputs, training=training)
            outputs = [run_cell(cells[0], inputs, mask)]
            finals = [outputs[0][:, -1]]
            if self.bidirectional:
                outputs.append(run_cell(cells[1], inputs, mask, backwards=True))
                finals.append(outputs[1][:, 0])
            inputs, final = tf.concat(outputs, axis=-1), tf.concat(finals, axis=-1)
        return inputs, final

    def compute_mask(
        self, inputs: tf.Tensor, previous_mask: tf.Tensor | None = None
    ) -> tuple[tf.Tensor | None, None]:
        """Return the mask of the outputs, that of the inputs; the final state has none."""
        del inputs
        return previous_mask, None

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        names = ("cell", "units", "layers", "bidirectional", "dropout")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
