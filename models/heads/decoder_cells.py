"""Three ways for one decoder step to use a memory: at the start, at each step, top-down.

Each with any cell of `models.layers.cells`; the equations name the LSTM, as the papers do.

All three have the same four parts, so that training and search share them:

    cache = cell.prepare(memory)             # what is the same at every step, once
    state = cell.initial_state(memory)       # from the memory's summary
    projected = cell.project(embedded)       # W_x x for all steps at once
    output, state, attention = cell.step(projected_t, state, cache)

and `cell.unroll` runs them over a whole sequence.
`step` takes `batch * beams` rows, batch-major; the cache stays at `batch` rows.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import keras
import tensorflow as tf

from models.layers.attention import AdditiveAttention
from models.layers.cells import CELLS, LSTMCell, fused_lstm
from models.layers.linear import Linear, matmul
from models.layers.unroll import unroll
from models.memory import Memory, select

StepResult = tuple[tf.Tensor, Any, tf.Tensor]


class Cache(NamedTuple):
    """What a decoder cell computes once a memory: `keys` W_k m, beside `values` and `mask`.

    `summary` is a projection of the memory's summary, `[batch, width]`, or empty.
    """

    keys: tf.Tensor
    values: tf.Tensor
    mask: tf.Tensor
    summary: tf.Tensor


class _DecoderCell(keras.layers.Layer):
    """What the three decoder cells share: the width, and a first state from the summary."""

    def __init__(self, units: int, cell: str = "lstm", **kwargs: Any) -> None:
        """Make a decoder cell.

        Args:
            units: hidden units of the recurrent cells.
            cell: what these are, a name in `models.layers.cells.CELLS`.
            kwargs: of `keras.layers.Layer`.

        Raises:
            ValueError: if there is no such cell.
        """
        super().__init__(**kwargs)
        if cell not in CELLS:
            raise ValueError(f"unknown cell {cell!r}; known: {', '.join(CELLS)}")
        self.units, self.cell_name = units, cell
        self.state = CELLS[cell].STATE
        parts = len(self.state._fields)
        self.first_state = Linear(parts * units, activation="tanh", name="first_state")

    def unroll(self, embedded: tf.Tensor, memory: Memory, example_index: tf.Tensor) -> tf.Tensor:
        """Run along given words.

        Args:
            embedded: float32 `[rows, time, depth]`.
            memory: of `batch` pictures.
            example_index: int32 `[rows]`, the picture that each row of words is about.

        Returns:
            float32 `[rows, time, output_depth]`.
        """
        cache = select(self.prepare(memory), example_index)
        first = select(self.initial_state(memory), example_index)

        def step(projected: tf.Tensor, state: Any) -> tuple[tf.Tensor, Any]:
            output, state, _ = self.step(projected, state, cache)
            return output, state

        return unroll(step, self.project(embedded), first)

    def _first(self, memory: Memory) -> Any:
        first = self.first_state(memory.summary)
        return self.state(*tf.split(first, len(self.state._fields), axis=-1))

    def get_config(self) -> dict[str, Any]:
        """Return what `from_config` needs."""
        return {**super().get_config(), "units": self.units, "cell": self.cell_name}


@keras.saving.register_keras_serializable(package="wordreel")
class ShowTellCell(_DecoderCell):
    """Show and Tell (Vinyals et al. 2015): the picture is seen once, in the first state.

    h_0, c_0 = tanh(W_0 s)
    h_t, c_t = LSTM(x_t; h_{t-1}, c_{t-1})
    """

    def __init__(self, units: int, cell: str = "lstm", **kwargs: Any) -> None:
        """Make a cell of `units`."""
        super().__init__(units, cell, **kwargs)
        self.cell = CELLS[cell](units, name=cell)

    def build(self, embedding_depth: int, memory_depth: int) -> None:
        """Create the weights."""
        self.first_state.build((None, memory_depth))
        self.cell.build((None, embedding_depth))
        self.output_depth = self.units

    def unroll(self, embedded: tf.Tensor, memory: Memory, example_index: tf.Tensor) -> tf.Tensor:
        """Run along given words, in one fused kernel where there is one."""
        if isinstance(self.cell, LSTMCell) and tf.config.list_physical_devices("GPU"):
            first = select(self.initial_state(memory), example_index)
            return fused_lstm(self.cell, embedded, first)
        return super().unroll(embedded, memory, example_index)

    def prepare(self, memory: Memory) -> Cache:
        """Return a cache in which nothing is used."""
        nothing = memory.summary[:, :0]
        return Cache(nothing, nothing, nothing, nothing)

    def initial_state(self, memory: Memory) -> Any:
        """Return h_0, and c_0 of an LSTM."""
        return self._first(memory)

    def project(self, embedded: tf.Tensor) -> tf.Tensor:
        """Return W_x x: `[..., depth]` → `[..., width]`."""
        return self.cell.project(embedded)

    def step(self, projected: tf.Tensor, state: Any, cache: Cache) -> StepResult:
        """Go one step; the attention is `[rows, 0]`: there is none."""
        state = self.cell.step(projected, state)
        return state.h, state, state.h[:, :0]


@keras.saving.register_keras_serializable(package="wordreel")
class ShowAttendTellCell(_DecoderCell):
    """Show, Attend and Tell (Xu et al. 2015): soft attention, gated, at every step.

        z_t, α_t = attention([h_{t-1}; x_t]; memory)
        β_t = σ(W_β h_{t-1})
        h_t, c_t = LSTM([x_t; β_t ⊙ z_t]; h_{t-1}, c_{t-1})

    Two departures from the paper. It asks with h_{t-1} alone, which does not know the last word:
    after "a red" it cannot look for the red thing among others. And the gate has one value for each
    dimension of z_t, where the paper has one for all.
    """

    def __init__(self, units: int, cell: str = "lstm", **kwargs: Any) -> None:
        """Make a cell of `units`; the attention, the dearest part, compares in half."""
        super().__init__(units, cell, **kwargs)
        self.cell = CELLS[cell](units, name=cell)
        self.attention = AdditiveAttention(units // 2, name="attention")

    def build(self, embedding_depth: int, memory_depth: int) -> None:
        """Create the weights."""
        self.first_state.build((None, memory_depth))
        self.cell.build((None, embedding_depth))
        self.attention.build(memory_depth, self.units)
        self.gate = Linear(memory_depth, activation="sigmoid", name="gate")
        self.gate.build((None, self.units))
        self.context_kernel = self.add_weight(
            shape=(memory_depth, self.cell.width), initializer="glorot_uniform", name="context"
        )
        self.ask = Linear(self.attention.units, use_bias=False, name="ask")
        self.ask.build((None, embedding_depth))
        self.output_depth = self.units + memory_depth

    def prepare(self, memory: Memory) -> Cache:
        """Return the attention's keys beside the memory."""
        return Cache(
            self.attention.keys(memory.values),
            memory.values,
            memory.mask,
            memory.summary[:, :0],
        )

    def initial_state(self, memory: Memory) -> Any:
        """Return h_0, and c_0 of an LSTM."""
        return self._first(memory)

    def project(self, embedded: tf.Tensor) -> tf.Tensor:
        """Return W_x x for the cell and for the attention: `[..., depth]` → `[..., width]`."""
        return tf.concat([self.cell.project(embedded), self.ask(embedded)], axis=-1)

    def step(self, projected: tf.Tensor, state: Any, cache: Cache) -> StepResult:
        """Look, then go one step; the output is `[h_t; β_t ⊙ z_t]`."""
        projected, asked = tf.split(projected, [self.cell.width, self.attention.units], axis=-1)
        context, weights = self.attention(state.h, cache.keys, cache.values, cache.mask, asked)
        context = self.gate(state.h) * context
        state = self.cell.step(projected + matmul(context, self.context_kernel), state)
        return tf.concat([state.h, context], axis=-1), state, weights


class UpDownState(NamedTuple):
    """The states of the two cells."""

    attend: Any
    language: Any


@keras.saving.register_keras_serializable(package="wordreel")
class UpDownCell(_DecoderCell):
    """The top-down decoder of Anderson et al. (2018): one LSTM looks, a second one speaks.

        h¹_t, c¹_t = LSTM([x_t; s; h²_{t-1}]; h¹_{t-1}, c¹_{t-1})
        z_t, α_t = attention(h¹_t; memory)
        h²_t, c²_t = LSTM([z_t; h¹_t]; h²_{t-1}, c²_{t-1})

    s is the memory's summary. The paper starts from zeros; here both start from s.
    """

    def __init__(self, units: int, cell: str = "lstm", **kwargs: Any) -> None:
        """Make two cells of `units`; the attention compares in half."""
        super().__init__(units, cell, **kwargs)
        self.attend = CELLS[cell](units, name="attend")
        self.language = CELLS[cell](units, name="language")
        self.attention = AdditiveAttention(units // 2, name="attention")

    def build(self, embedding_depth: int, memory_depth: int) -> None:
        """Create the weights; those of [x_t; s; h²] lie apart, since x and s come early."""
        units = self.units
        self.first_state.build((None, memory_depth))
        self.attend.build((None, embedding_depth))
        self.language.build((None, memory_depth + units))
        self.attention.build(memory_depth, units)
        self.summary_kernel = self.add_weight(
            shape=(memory_depth, self.attend.width), initializer="glorot_uniform", name="summary"
        )
        self.feedback_kernel = self.add_weight(
            shape=(units, self.attend.width), initializer="glorot_uniform", name="feedback"
        )
        self.output_depth = units

    def prepare(self, memory: Memory) -> Cache:
        """Return the attention's keys and W_s s beside the memory."""
        return Cache(
            self.attention.keys(memory.values),
            memory.values,
            memory.mask,
            matmul(memory.summary, self.summary_kernel),
        )

    def initial_state(self, memory: Memory) -> UpDownState:
        """Return the same first state for both."""
        first = self._first(memory)
        return UpDownState(first, first)

    def project(self, embedded: tf.Tensor) -> tf.Tensor:
        """Return W_x x: `[..., depth]` → `[..., width]`."""
        return self.attend.project(embedded)

    def step(self, projected: tf.Tensor, state: UpDownState, cache: Cache) -> StepResult:
        """Look with the first cell, speak with the second; the output is h²_t."""
        summary = cache.summary[:, tf.newaxis]
        batch = tf.shape(summary)[0]
        projected = tf.reshape(projected, [batch, -1, self.attend.width]) + summary
        projected = tf.reshape(projected, [-1, self.attend.width])
        projected += matmul(state.language.h, self.feedback_kernel)
        attend = self.attend.step(projected, state.attend)
        context, weights = self.attention(attend.h, cache.keys, cache.values, cache.mask)
        language = self.language(tf.concat([context, attend.h], axis=-1), state.language)
        return language.h, UpDownState(attend, language), weights


DECODERS = {
    "show-tell": ShowTellCell,
    "show-attend-tell": ShowAttendTellCell,
    "updown": UpDownCell,
}
