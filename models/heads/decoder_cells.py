"""Decoder cells: three ways to use a memory in one decoding step.

Each uses any recurrent cell of `models.layers.cells`; the equations name the LSTM, like the papers.
For training and for search:

    cache = cell.prepare(memory)             # computed once per memory
    state = cell.initial_state(memory)       # from the memory's summary
    projected = cell.project(embedded)       # W_x x for all steps at once
    output, state, attention = cell.step(projected_t, state, cache)

`cell.unroll` runs them over a whole sequence. `step` takes `batch * beams` rows, batch-major; the
cache keeps `batch` rows.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import tensorflow as tf

from models.layers.attention import AdditiveAttention
from models.layers.cells import CELLS, LSTMCell, fused_lstm
from models.layers.linear import Layer, Linear
from models.layers.unroll import unroll
from models.memory import Memory, gather_rows

StepResult = tuple[tf.Tensor, Any, tf.Tensor]


class Cache(NamedTuple):
    """The part of a decoding step that depends on the memory alone.

    Attributes, of width 0 if a cell does not use them:
        keys: W_k m, `[batch, items, units]`.
        values: `[batch, items, depth]`.
        mask: bool `[batch, items]`.
        summary: a projection of the memory's summary, `[batch, width]`.
    """

    keys: tf.Tensor
    values: tf.Tensor
    mask: tf.Tensor
    summary: tf.Tensor


class _DecoderCell(Layer):
    """Base of the decoder cells: the number of units, and an initial state from the summary."""

    def __init__(self, units: int, cell: str = "lstm", **layer: Any) -> None:
        super().__init__(**layer)
        self.units = units
        self.state = CELLS[cell].STATE
        self.first_state = Linear(
            len(self.state._fields) * units,
            activation="tanh",
            name="first_state",
            dtype=self.dtype_policy,
        )

    def unroll(self, embedded: tf.Tensor, memory: Memory, example_index: tf.Tensor) -> tf.Tensor:
        """Run over embedded words, `[rows, time, depth]`: see `SequenceDecoder.teacher_force`."""
        cache = gather_rows(self.prepare(memory), example_index)
        initial = gather_rows(self.initial_state(memory), example_index)

        def step(projected: tf.Tensor, state: Any) -> tuple[tf.Tensor, Any]:
            output, state, _ = self.step(projected, state, cache)
            return output, state

        return unroll(step, self.project(embedded), initial)

    def initial_state(self, memory: Memory) -> Any:
        """Return h_0, and c_0 of an LSTM, `[batch, units]` each."""
        initial = self.first_state(memory.summary)
        return self.state(*tf.split(initial, len(self.state._fields), axis=-1))


class ShowTellCell(_DecoderCell):
    """Show and Tell (Vinyals et al. 2015): the image sets the initial state.

    h_0, c_0 = tanh(W_0 s)
    h_t, c_t = LSTM(x_t; h_{t-1}, c_{t-1})
    """

    def __init__(self, units: int, cell: str = "lstm", **layer: Any) -> None:
        """Create a cell with `units` hidden units; `cell` is a key of `CELLS`."""
        super().__init__(units, cell, **layer)
        self.cell = CELLS[cell](units, name=cell, dtype=self.dtype_policy)

    def build(self, embedding_depth: int, memory_depth: int) -> None:
        """Create the weights."""
        self.first_state.build((None, memory_depth))
        self.cell.build((None, embedding_depth))
        self.output_depth = self.units

    def unroll(self, embedded: tf.Tensor, memory: Memory, example_index: tf.Tensor) -> tf.Tensor:
        """Run over given words, on GPUs with the fused LSTM kernel."""
        if isinstance(self.cell, LSTMCell) and tf.config.list_physical_devices("GPU"):
            initial = gather_rows(self.initial_state(memory), example_index)
            return fused_lstm(self.cell, embedded, initial)
        return super().unroll(embedded, memory, example_index)

    def prepare(self, memory: Memory) -> Cache:
        """Return an empty cache."""
        empty = memory.summary[:, :0]
        return Cache(empty, empty, empty, empty)

    def project(self, embedded: tf.Tensor) -> tf.Tensor:
        """Return W_x x: `[..., depth]` → `[..., width]`."""
        return self.cell.project(embedded)

    def step(self, projected: tf.Tensor, state: Any, cache: Cache) -> StepResult:
        """Run one step; the attention is empty, `[rows, 0]`."""
        state = self.cell.step(projected, state)
        return state.h, state, state.h[:, :0]


class ShowAttendTellCell(_DecoderCell):
    """Show, Attend and Tell (Xu et al. 2015): gated soft attention at every step.

        z_t, α_t = attention([h_{t-1}; x_t]; memory)
        β_t = σ(W_β h_{t-1})
        h_t, c_t = LSTM([x_t; β_t ⊙ z_t]; h_{t-1}, c_{t-1})

    Unlike the paper's, the query includes the last word (after "a red" it attends to red objects),
    and the gate has a value per dimension of z_t.
    """

    def __init__(self, units: int, cell: str = "lstm", **layer: Any) -> None:
        super().__init__(units, cell, **layer)
        self.cell = CELLS[cell](units, name=cell, dtype=self.dtype_policy)
        self.attention = AdditiveAttention(  # the costliest part
            units // 2, name="attention", dtype=self.dtype_policy
        )

    def build(self, embedding_depth: int, memory_depth: int) -> None:
        """Create the weights."""
        self.first_state.build((None, memory_depth))
        self.cell.build((None, embedding_depth))
        self.attention.build((None, self.units), (None, None, memory_depth))
        self.gate = Linear(memory_depth, activation="sigmoid", name="gate", dtype=self.dtype_policy)
        self.gate.build((None, self.units))
        self.context_kernel = self.add_weight(
            shape=(memory_depth, self.cell.width), initializer="glorot_uniform", name="context"
        )
        self.ask = Linear(self.attention.units, use_bias=False, name="ask", dtype=self.dtype_policy)
        self.ask.build((None, embedding_depth))
        self.output_depth = self.units + memory_depth

    def prepare(self, memory: Memory) -> Cache:
        """Return the attention's keys and the memory."""
        keys = self.attention.keys(memory.values)
        return Cache(keys, memory.values, memory.mask, memory.summary[:, :0])

    def project(self, embedded: tf.Tensor) -> tf.Tensor:
        """Return W_x x for the cell and for the attention: `[..., depth]` → `[..., width]`."""
        return tf.concat([self.cell.project(embedded), self.ask(embedded)], axis=-1)

    def step(self, projected: tf.Tensor, state: Any, cache: Cache) -> StepResult:
        """Attend, then run the cell; the output is `[h_t; β_t ⊙ z_t]`."""
        projected, word_query = tf.split(
            projected, [self.cell.width, self.attention.units], axis=-1
        )
        context, weights = self.attention.attend(
            state.h, cache.keys, cache.values, cache.mask, word_query
        )
        context = self.gate(state.h) * context
        state = self.cell.step(projected + self.matmul(context, self.context_kernel), state)
        return tf.concat([state.h, context], axis=-1), state, weights


class UpDownState(NamedTuple):
    """The states of the attention cell and of the language cell."""

    attend: Any
    language: Any


class UpDownCell(_DecoderCell):
    """The top-down decoder of Anderson et al. (2018): an attention LSTM and a language LSTM.

        h¹_t, c¹_t = LSTM([x_t; s; h²_{t-1}]; h¹_{t-1}, c¹_{t-1})
        z_t, α_t = attention(h¹_t; memory)
        h²_t, c²_t = LSTM([z_t; h¹_t]; h²_{t-1}, c²_{t-1})

    s is the memory's summary. The paper's initial states are zeros; here both are computed from s.
    """

    def __init__(self, units: int, cell: str = "lstm", **layer: Any) -> None:
        super().__init__(units, cell, **layer)
        self.attend = CELLS[cell](units, name="attend", dtype=self.dtype_policy)
        self.language = CELLS[cell](units, name="language", dtype=self.dtype_policy)
        self.attention = AdditiveAttention(units // 2, name="attention", dtype=self.dtype_policy)

    def build(self, embedding_depth: int, memory_depth: int) -> None:
        """Create the weights; those of x_t, s and h² are separate: W_x x and W_s s come first."""
        units = self.units
        self.first_state.build((None, memory_depth))
        self.attend.build((None, embedding_depth))
        self.language.build((None, memory_depth + units))
        self.attention.build((None, units), (None, None, memory_depth))
        self.summary_kernel = self.add_weight(
            shape=(memory_depth, self.attend.width), initializer="glorot_uniform", name="summary"
        )
        self.feedback_kernel = self.add_weight(
            shape=(units, self.attend.width), initializer="glorot_uniform", name="feedback"
        )
        self.output_depth = units

    def prepare(self, memory: Memory) -> Cache:
        """Return the attention's keys, the memory and W_s s."""
        keys = self.attention.keys(memory.values)
        summary = self.matmul(memory.summary, self.summary_kernel)
        return Cache(keys, memory.values, memory.mask, summary)

    def initial_state(self, memory: Memory) -> UpDownState:
        """Return the same initial state for both cells."""
        initial = super().initial_state(memory)
        return UpDownState(initial, initial)

    def project(self, embedded: tf.Tensor) -> tf.Tensor:
        """Return W_x x: `[..., depth]` → `[..., width]`."""
        return self.attend.project(embedded)

    def step(self, projected: tf.Tensor, state: UpDownState, cache: Cache) -> StepResult:
        """Run the attention cell, then the language cell; the output is h²_t."""
        summary = cache.summary[:, tf.newaxis]
        batch = tf.shape(summary)[0]
        projected = tf.reshape(projected, [batch, -1, self.attend.width]) + summary
        projected = tf.reshape(projected, [-1, self.attend.width])
        projected += self.matmul(state.language.h, self.feedback_kernel)
        attend = self.attend.step(projected, state.attend)
        context, weights = self.attention.attend(attend.h, cache.keys, cache.values, cache.mask)
        inputs = self.language.project(tf.concat([context, attend.h], axis=-1))
        language = self.language.step(inputs, state.language)
        return language.h, UpDownState(attend, language), weights


DECODERS = {
    "show-tell": ShowTellCell,
    "show-attend-tell": ShowAttendTellCell,
    "updown": UpDownCell,
}
