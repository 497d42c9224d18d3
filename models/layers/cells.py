"""Recurrent cells, written from their equations.

A cell is split in two so that a sequence costs one large product instead of many small ones:
`project` multiplies the inputs of all steps by W_x at once, `step` computes what depends on
h_{t-1}. A new cell is a subclass of `Cell`, entered in `CELLS`. Every cell also runs in
`keras.layers.RNN`:

>>> keras.layers.RNN(LSTMCell(4))(tf.ones([2, 5, 3])).shape
TensorShape([2, 4])
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple

import keras
import tensorflow as tf

from models.layers.linear import Layer


class HiddenState(NamedTuple):
    """The state of a vanilla RNN or a GRU, `[batch, units]`."""

    h: tf.Tensor


class LSTMState(NamedTuple):
    """The hidden and the cell state of an LSTM, `[batch, units]` each."""

    h: tf.Tensor
    c: tf.Tensor


class Cell(Layer):
    """Base class of the cells. A subclass sets `GATES` and defines `step`.

    `call`, `state_size`, `output_size` and `get_initial_state` are what `keras.layers.RNN` needs.

    Attributes:
        GATES: number of gates, each with its own columns of W_x, W_h and b.
        STATE: the named tuple of the state; `h` is the output.
        units: number of hidden units.
        width: dimensions of the result of `project`: `units` for each gate.
    """

    GATES: ClassVar[int]
    STATE: ClassVar[Any] = HiddenState
    BIAS_INITIALIZER: ClassVar[Any] = "zeros"

    def __init__(self, units: int, **layer: Any) -> None:
        """Create a cell of `units` hidden units; `layer`: the arguments of `keras.layers.Layer`."""
        super().__init__(**layer)
        self.units, self.width = units, self.GATES * units
        self.bias_shape: tuple[int, ...] = (self.width,)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create W_x `[input_shape[-1], width]`, W_h `[units, width]` and b."""
        self.kernel = self.add_weight(
            shape=(input_shape[-1], self.width), initializer="glorot_uniform", name="kernel"
        )
        self.recurrent_kernel = self.add_weight(
            shape=(self.units, self.width), initializer="orthogonal", name="recurrent_kernel"
        )
        self.bias = self.add_weight(
            shape=self.bias_shape, initializer=self.BIAS_INITIALIZER, name="bias"
        )

    def initial_state(self, batch: int | tf.Tensor) -> Any:
        """Return the state before the first step: zeros, `[batch, units]` each."""
        zeros = tf.zeros([batch, self.units], self.compute_dtype)
        return self.STATE(*[zeros] * len(self.STATE._fields))

    def project(self, inputs: tf.Tensor) -> tf.Tensor:
        """Return W_x x + b for any number of steps: `[..., depth]` → `[..., width]`."""
        return self.matmul(inputs, self.kernel) + self.cast(self.bias)

    def step(self, projected: tf.Tensor, state: Any) -> Any:
        """Return the state after one step, from `projected` `[batch, width]` and the state."""
        raise NotImplementedError

    @property
    def state_size(self) -> list[int]:
        """The dimensions of each part of the state."""
        return [self.units] * len(self.STATE._fields)

    @property
    def output_size(self) -> int:
        """The dimensions of the output."""
        return self.units

    def get_initial_state(self, batch_size: int | tf.Tensor) -> list[tf.Tensor]:
        """Return the parts of the state before the first step."""
        return list(self.initial_state(batch_size))

    def call(
        self, inputs: tf.Tensor, states: Sequence[tf.Tensor]
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """Run one step from inputs `[batch, depth]`; return h and the parts of the state."""
        state = self.step(self.project(inputs), self.STATE(*states))
        return state.h, list(state)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        return {**super().get_config(), "units": self.units}


@keras.saving.register_keras_serializable("wordreel")
class RNNCell(Cell):
    """The vanilla RNN (Elman 1990), with the weights of `keras.layers.SimpleRNN`.

        h_t = tanh(W_hh h_{t-1} + W_xh x_t + b)

    Its Jacobian is ∂h_t/∂h_{t-1} = diag(1 - h_t²) W_hh: see `pipelines.diagnostics.gradient_flow`.
    """

    GATES = 1

    def step(self, projected: tf.Tensor, state: HiddenState) -> HiddenState:
        """Return h_t from `project`'s W_xh x_t + b and h_{t-1}."""
        return HiddenState(tf.tanh(projected + self.matmul(state.h, self.recurrent_kernel)))


@keras.saving.register_keras_serializable("wordreel")
class GRUCell(Cell):
    """The GRU (Cho et al. 2014), reset after the product, with the weights of `keras.layers.GRU`.

        z_t = σ(W_hz h_{t-1} + W_xz x_t + b_z)
        r_t = σ(W_hr h_{t-1} + W_xr x_t + b_r)
        g_t = tanh(r_t ⊙ (W_hg h_{t-1} + b_hg) + W_xg x_t + b_g)
        h_t = z_t ⊙ h_{t-1} + (1 - z_t) ⊙ g_t

    The gates are in Keras's order z, r, g. b_z and b_r are sums of both rows of the bias.
    """

    GATES = 3

    def __init__(self, units: int, **layer: Any) -> None:
        super().__init__(units, **layer)
        self.bias_shape = (2, self.width)  # b_x over b_h

    def project(self, inputs: tf.Tensor) -> tf.Tensor:
        """Return W_x x + b_x for any number of steps: `[..., depth]` → `[..., 3 * units]`."""
        return self.matmul(inputs, self.kernel) + self.cast(self.bias)[0]

    def step(self, projected: tf.Tensor, state: HiddenState) -> HiddenState:
        """Return h_t from `project`'s W_x x_t + b_x and h_{t-1}."""
        recurrent = self.matmul(state.h, self.recurrent_kernel) + self.cast(self.bias)[1]
        x_z, x_r, x_g = tf.split(projected, 3, axis=-1)
        h_z, h_r, h_g = tf.split(recurrent, 3, axis=-1)
        z = tf.sigmoid(x_z + h_z)
        g = tf.tanh(x_g + tf.sigmoid(x_r + h_r) * h_g)
        return HiddenState(z * state.h + (1.0 - z) * g)


def _forget_bias_one(shape: tuple[int, ...], dtype: Any = None) -> tf.Tensor:
    """Return zeros, but ones for the forget gate (Jozefowicz et al. 2015)."""
    units = shape[0] // 4
    return tf.concat(
        [tf.zeros([units], dtype), tf.ones([units], dtype), tf.zeros([2 * units], dtype)], axis=0
    )


@keras.saving.register_keras_serializable("wordreel")
class LSTMCell(Cell):
    """The LSTM (Hochreiter & Schmidhuber 1997), with the weights of `keras.layers.LSTM`.

    It has the forget gate of Gers et al. (2000), whose bias starts at 1.

        i_t = σ(W_hi h_{t-1} + W_xi x_t + b_i)
        f_t = σ(W_hf h_{t-1} + W_xf x_t + b_f)
        g_t = tanh(W_hg h_{t-1} + W_xg x_t + b_g)
        o_t = σ(W_ho h_{t-1} + W_xo x_t + b_o)
        c_t = f_t ⊙ c_{t-1} + i_t ⊙ g_t
        h_t = o_t ⊙ tanh(c_t)

    The gates are in Keras's order i, f, g, o.
    """

    GATES = 4
    STATE = LSTMState
    BIAS_INITIALIZER = staticmethod(_forget_bias_one)

    def step(self, projected: tf.Tensor, state: LSTMState) -> LSTMState:
        """Return h_t and c_t from `project`'s W_x x_t + b, h_{t-1} and c_{t-1}."""
        gates = projected + self.matmul(state.h, self.recurrent_kernel)
        i, f, g, o = tf.split(gates, 4, axis=-1)
        c = tf.sigmoid(f) * state.c + tf.sigmoid(i) * tf.tanh(g)
        return LSTMState(tf.sigmoid(o) * tf.tanh(c), c)


CELLS: dict[str, type[Cell]] = {"rnn": RNNCell, "lstm": LSTMCell, "gru": GRUCell}


def fused_lstm(cell: LSTMCell, inputs: tf.Tensor, state: LSTMState) -> tf.Tensor:
    """Run a cell over a sequence with `keras.layers.LSTM`, which uses cuDNN's kernel on GPUs.

    Args:
        cell: its weights are used and trained.
        inputs: float32 `[batch, time, depth]`.
        state: before the first step.

    Returns:
        h of each step, float32 `[batch, time, units]`.
    """
    layer = keras.layers.LSTM(cell.units, return_sequences=True, dtype=cell.compute_dtype)
    layer.build(inputs.shape)
    weights = [cell.cast(weight) for weight in (cell.kernel, cell.recurrent_kernel, cell.bias)]
    outputs, _ = layer.stateless_call(
        weights, layer.non_trainable_variables, inputs, initial_state=list(state)
    )
    return outputs
