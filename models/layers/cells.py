"""Recurrent cells, written from their equations.

A cell is split in two so that a sequence costs one large product instead of many small ones:
`project` multiplies the inputs of all steps by W_x at once, `step` computes what depends on
h_{t-1}. All cells implement this protocol (`Cell`); `CELLS` lists them by name.
"""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple, Protocol

import keras
import tensorflow as tf

from models.layers.linear import matmul


class Cell(Protocol):
    """The interface of a cell, which is also a Keras layer.

    Attributes:
        units: number of hidden units.
        name: name of the layer.
        width: dimensions of what `project` returns: `units` for each gate.
        STATE: the named tuple of its state.
    """

    units: int
    name: str
    width: int
    STATE: type

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create the weights for inputs of `input_shape[-1]` dimensions."""

    def initial_state(self, batch: int | tf.Tensor) -> Any:
        """Return the state before the first step."""

    def project(self, inputs: tf.Tensor) -> tf.Tensor:
        """Return W_x x + b, which depends on no state: `[..., depth]` → `[..., width]`."""

    def step(self, projected: tf.Tensor, state: Any) -> Any:
        """Return the state after one step."""


class RNNState(NamedTuple):
    """The state of a vanilla RNN or a GRU: `h` alone, float32 `[batch, units]`."""

    h: tf.Tensor


class LSTMState(NamedTuple):
    """The state of an LSTM: `h` (hidden) and `c` (cell), both float32 `[batch, units]`."""

    h: tf.Tensor
    c: tf.Tensor


def rnn_step(preactivation: tf.Tensor) -> RNNState:
    """One step of the vanilla RNN (Elman 1990), from W_hh h_{t-1} + W_xh x_t + b.

        h_t = tanh(W_hh h_{t-1} + W_xh x_t + b)

    Its Jacobian ∂h_t/∂h_{t-1} = diag(tanh′(·)) W_hh = diag(1 - h_t²) W_hh multiplies a gradient at
    every step of backpropagation through time: see `pipelines.diagnostics.gradient_flow`.

    Args:
        preactivation: float32 `[batch, units]`.
    """
    return RNNState(tf.tanh(preactivation))


def gru_step(projected: tf.Tensor, recurrent: tf.Tensor, h_prev: tf.Tensor) -> RNNState:
    """One step of the GRU (Cho et al. 2014), reset after the product as cuDNN and Keras do.

        z_t = σ(W_hz h_{t-1} + W_xz x_t + b_z)
        r_t = σ(W_hr h_{t-1} + W_xr x_t + b_r)
        g_t = tanh(r_t ⊙ (W_hg h_{t-1} + b_hg) + W_xg x_t + b_g)
        h_t = z_t ⊙ h_{t-1} + (1 - z_t) ⊙ g_t

    Args:
        projected: W_x x_t + b_x, float32 `[batch, 3 * units]`, in Keras's gate order z, r, g.
        recurrent: W_h h_{t-1} + b_h, likewise; b_z and b_r are the sums of both biases.
        h_prev: float32 `[batch, units]`.
    """
    x_z, x_r, x_g = tf.split(projected, 3, axis=-1)
    h_z, h_r, h_g = tf.split(recurrent, 3, axis=-1)
    z = tf.sigmoid(x_z + h_z)
    g = tf.tanh(x_g + tf.sigmoid(x_r + h_r) * h_g)
    return RNNState(z * h_prev + (1.0 - z) * g)


def lstm_step(preactivation: tf.Tensor, c_prev: tf.Tensor) -> LSTMState:
    """One step of Hochreiter & Schmidhuber (1997) with the forget gate of Gers et al. (2000).

    Each gate has its own rows of W; the products W_h h_{t-1} + W_x x_t + b are given as
    `preactivation`, in Keras's gate order i, f, g, o:

        i_t = σ(W_hi h_{t-1} + W_xi x_t + b_i)
        f_t = σ(W_hf h_{t-1} + W_xf x_t + b_f)
        g_t = tanh(W_hg h_{t-1} + W_xg x_t + b_g)
        o_t = σ(W_ho h_{t-1} + W_xo x_t + b_o)
        c_t = f_t ⊙ c_{t-1} + i_t ⊙ g_t
        h_t = o_t ⊙ tanh(c_t)

    Args:
        preactivation: float32 `[batch, 4 * units]`.
        c_prev: float32 `[batch, units]`.
    """
    i, f, g, o = tf.split(preactivation, 4, axis=-1)
    c = tf.sigmoid(f) * c_prev + tf.sigmoid(i) * tf.tanh(g)
    return LSTMState(tf.sigmoid(o) * tf.tanh(c), c)


class _Cell(keras.layers.Layer):
    """Base of the three cells: see the protocol `Cell`."""

    GATES: ClassVar[int]
    STATE: ClassVar[Any] = RNNState

    def __init__(self, units: int, **kwargs: Any) -> None:
        """Create a cell of `units` hidden units."""
        super().__init__(**kwargs)
        self.units, self.width = units, self.GATES * units

    def initial_state(self, batch: int | tf.Tensor) -> Any:
        """Return zeros, `[batch, units]` each."""
        zeros = tf.zeros([batch, self.units])
        return self.STATE(*[zeros] * len(self.STATE._fields))

    def call(self, inputs: tf.Tensor, state: Any) -> Any:
        """Run one step from inputs `[batch, depth]`."""
        return self.step(self.project(inputs), state)

    def get_config(self) -> dict[str, Any]:
        """Return what `from_config` needs."""
        return {**super().get_config(), "units": self.units}

    def _add_weights(
        self, depth: int | None, bias: tuple[int, ...], initial: Any = "zeros"
    ) -> None:
        """Create W_x, W_h and b of shape `bias`, under Keras's names."""
        self.kernel = self.add_weight(
            shape=(depth, self.width), initializer="glorot_uniform", name="kernel"
        )
        self.recurrent_kernel = self.add_weight(
            shape=(self.units, self.width), initializer="orthogonal", name="recurrent_kernel"
        )
        self.bias = self.add_weight(shape=bias, initializer=initial, name="bias")


@keras.saving.register_keras_serializable(package="wordreel")
class RNNCell(_Cell):
    """A vanilla RNN cell whose weights are those of `keras.layers.SimpleRNN`.

    >>> cell = RNNCell(3)
    >>> cell.build((None, 2))
    >>> [tuple(weight.shape) for weight in cell.get_weights()]
    [(2, 3), (3, 3), (3,)]
    """

    GATES = 1

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create W_xh `[depth, units]`, W_hh `[units, units]` and b `[units]`."""
        self._add_weights(input_shape[-1], (self.width,))

    def project(self, inputs: tf.Tensor) -> tf.Tensor:
        """Return W_xh x + b for any number of steps: `[..., depth]` → `[..., units]`."""
        return matmul(inputs, self.kernel) + self.bias

    def step(self, projected: tf.Tensor, state: RNNState) -> RNNState:
        """Run one step: `projected` `[batch, units]` from `project`, and h_{t-1}."""
        return rnn_step(projected + matmul(state.h, self.recurrent_kernel))


@keras.saving.register_keras_serializable(package="wordreel")
class GRUCell(_Cell):
    """A GRU cell whose weights are those of `keras.layers.GRU`.

    >>> cell = GRUCell(3)
    >>> cell.build((None, 2))
    >>> [tuple(weight.shape) for weight in cell.get_weights()]
    [(2, 9), (3, 9), (2, 9)]
    """

    GATES = 3

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create W_x `[depth, 3 * units]`, W_h `[units, 3 * units]`, and b_x over b_h."""
        self._add_weights(input_shape[-1], (2, self.width))

    def project(self, inputs: tf.Tensor) -> tf.Tensor:
        """Return W_x x + b_x for any number of steps: `[..., depth]` → `[..., 3 * units]`."""
        return matmul(inputs, self.kernel) + self.bias[0]

    def step(self, projected: tf.Tensor, state: RNNState) -> RNNState:
        """Run one step: `projected` `[batch, 3 * units]` from `project`, and h_{t-1}."""
        recurrent = matmul(state.h, self.recurrent_kernel) + self.bias[1]
        return gru_step(projected, recurrent, state.h)


@keras.saving.register_keras_serializable(package="wordreel")
class LSTMCell(_Cell):
    """An LSTM cell whose weights are those of `keras.layers.LSTM`: same names, shapes, order.

    The forget gate's bias starts at 1.

    >>> cell = LSTMCell(3)
    >>> cell.build((None, 2))
    >>> [tuple(weight.shape) for weight in cell.get_weights()]
    [(2, 12), (3, 12), (12,)]
    >>> state = cell.step(cell.project(tf.zeros([5, 2])), cell.initial_state(5))
    >>> tuple(state.h.shape)
    (5, 3)
    """

    GATES = 4
    STATE = LSTMState

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create W_x `[depth, 4 * units]`, W_h `[units, 4 * units]` and b `[4 * units]`."""
        self._add_weights(input_shape[-1], (self.width,), forget_bias_one)

    def project(self, inputs: tf.Tensor) -> tf.Tensor:
        """Return W_x x + b for any number of steps: `[..., depth]` → `[..., 4 * units]`."""
        return matmul(inputs, self.kernel) + self.bias

    def step(self, projected: tf.Tensor, state: LSTMState) -> LSTMState:
        """Run one step: `projected` `[batch, 4 * units]` from `project`, and h, c of t-1."""
        return lstm_step(projected + matmul(state.h, self.recurrent_kernel), state.c)


CELLS: dict[str, type[_Cell]] = {"rnn": RNNCell, "lstm": LSTMCell, "gru": GRUCell}


def fused_lstm(cell: LSTMCell, inputs: tf.Tensor, state: LSTMState) -> tf.Tensor:
    """Run a cell over a sequence with `keras.layers.LSTM`, which uses cuDNN's kernel on GPUs.

    Args:
        cell: the cell whose weights are used and trained.
        inputs: float32 `[batch, time, depth]`.
        state: the initial state.

    Returns:
        h of each step, float32 `[batch, time, units]`.
    """
    layer = keras.layers.LSTM(cell.units, return_sequences=True)
    layer.build(inputs.shape)
    weights = [weight.value for weight in (cell.kernel, cell.recurrent_kernel, cell.bias)]
    outputs, _ = layer.stateless_call(
        weights, layer.non_trainable_variables, inputs, initial_state=list(state)
    )
    return outputs


def forget_bias_one(shape: tuple[int, ...], dtype: Any = None) -> tf.Tensor:
    """Return zeros, but ones for the forget gate (Jozefowicz et al. 2015)."""
    units = shape[0] // 4
    return tf.concat(
        [tf.zeros([units], dtype), tf.ones([units], dtype), tf.zeros([2 * units], dtype)], axis=0
    )
