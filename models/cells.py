"""Recurrent cells, written from their equations.

A cell is split in two so that a sequence costs one large product instead of many small ones:
`project` multiplies the inputs of all steps by W_x at once, `step` does what must wait for
h_{t-1}.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import keras
import tensorflow as tf

from models.linear import matmul


class LSTMState(NamedTuple):
    """The state of an LSTM: `h` (hidden) and `c` (cell), both float32 `[batch, units]`."""

    h: tf.Tensor
    c: tf.Tensor


def lstm_step(preactivation: tf.Tensor, c_prev: tf.Tensor) -> LSTMState:
    """One step of Hochreiter & Schmidhuber (1997) with the forget gate of Gers et al. (2000).

    Each gate has its own rows of W; the products W_h h_{t-1} + W_x x_t + b come in as
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


@keras.saving.register_keras_serializable(package="wordreel")
class LSTMCell(keras.layers.Layer):
    """An LSTM cell whose weights are those of `keras.layers.LSTM`: same names, shapes, order.

    >>> cell = LSTMCell(3)
    >>> cell.build((None, 2))
    >>> [tuple(weight.shape) for weight in cell.get_weights()]
    [(2, 12), (3, 12), (12,)]
    >>> state = cell.step(cell.project(tf.zeros([5, 2])), cell.initial_state(5))
    >>> tuple(state.h.shape)
    (5, 3)
    """

    def __init__(self, units: int, **kwargs: Any) -> None:
        """Make a cell of `units` hidden units; the forget gate's bias starts at 1."""
        super().__init__(**kwargs)
        self.units = units

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create W_x `[depth, 4 * units]`, W_h `[units, 4 * units]` and b `[4 * units]`."""
        units = self.units
        self.kernel = self.add_weight(
            shape=(input_shape[-1], 4 * units), initializer="glorot_uniform", name="kernel"
        )
        self.recurrent_kernel = self.add_weight(
            shape=(units, 4 * units), initializer="orthogonal", name="recurrent_kernel"
        )
        self.bias = self.add_weight(shape=(4 * units,), initializer=forget_bias_one, name="bias")

    def initial_state(self, batch: int | tf.Tensor) -> LSTMState:
        """Return zeros, `[batch, units]` each."""
        zeros = tf.zeros([batch, self.units])
        return LSTMState(zeros, zeros)

    def project(self, inputs: tf.Tensor) -> tf.Tensor:
        """Return W_x x + b for any number of steps: `[..., depth]` → `[..., 4 * units]`."""
        return matmul(inputs, self.kernel) + self.bias

    def step(self, projected: tf.Tensor, state: LSTMState) -> LSTMState:
        """Go one step: `projected` `[batch, 4 * units]` from `project`, and h, c before it."""
        return lstm_step(projected + matmul(state.h, self.recurrent_kernel), state.c)

    def call(self, inputs: tf.Tensor, state: LSTMState) -> LSTMState:
        """Go one step from inputs `[batch, depth]`."""
        return self.step(self.project(inputs), state)

    def get_config(self) -> dict[str, Any]:
        """Return what `from_config` needs."""
        return {**super().get_config(), "units": self.units}


def fused_lstm(cell: LSTMCell, inputs: tf.Tensor, state: LSTMState) -> tf.Tensor:
    """Run a cell along a sequence through `keras.layers.LSTM`, which takes cuDNN's kernel on GPUs.

    Args:
        cell: whose weights are used, and learn.
        inputs: float32 `[batch, time, depth]`.
        state: before the first step.

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
    """Return zeros with ones where the forget gate's biases are (Jozefowicz et al. 2015)."""
    units = shape[0] // 4
    return tf.concat(
        [tf.zeros([units], dtype), tf.ones([units], dtype), tf.zeros([2 * units], dtype)], axis=0
    )
