"""Run a step over a sequence, computing the gradients of its weights once for all steps.

The naive gradient of a loop computes, at every step, a small product for the gradient of every
kernel and adds it to a running sum: reading and writing all weights T times costs more than the
arithmetic. But z_t = x_t W gives

    ∂L/∂W = Σ_t x_tᵀ ∂L/∂z_t = Xᵀ ∂L/∂Z

a single large product over all steps, if the loop stores X and exposes ∂L/∂Z. `unroll` does so for
every `Layer.matmul` in the step; the step itself needs no change.

The gradients of the states, ∂L/∂s_t, are exposed in the same way: see `record_loops`.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import tensorflow as tf

from models.layers import linear

Step = Callable[[tf.Tensor, Any], tuple[tf.Tensor, Any]]


@dataclasses.dataclass(frozen=True)
class RecordedLoop:
    """One loop run by `unroll`, with its arguments.

    Attributes:
        inputs: float32 `[time, batch, depth]`.
        state_taps: zeros like the state, `[time, batch, ...]`, added to it before each step: the
            gradient of `state_taps[t]` is that of the state before step t, from step t and later.
        outputs: float32 `[batch, time, width]`; the first of `width` are h.
    """

    name: str
    step: Step
    inputs: tf.Tensor
    initial_state: Any
    state_taps: Any
    outputs: tf.Tensor


_recording: tuple[tf.GradientTape, list[RecordedLoop]] | None = None


@contextlib.contextmanager
def record_loops(tape: tf.GradientTape) -> Iterator[list[RecordedLoop]]:
    """Record every loop that `unroll` runs inside this context, for `state_gradients`."""
    global _recording
    before, _recording = _recording, (tape, [])
    try:
        yield _recording[1]
    finally:
        _recording = before


def state_gradients(tape: tf.GradientTape, loss: tf.Tensor, loops: list[RecordedLoop]) -> list[Any]:
    """Return ∂L/∂s_t of each loop, like its state with a leading `[time, batch]`.

    s_t is the state after step t. Its gradient comes from the later steps and, for h_t, from the
    output.
    """
    sources = [(loop.state_taps, loop.outputs) for loop in loops]
    gradients = tape.gradient(loss, sources, unconnected_gradients=tf.UnconnectedGradients.ZERO)
    totals = []
    for from_taps, from_output in gradients:
        total = tf.nest.map_structure(lambda x: tf.concat([x[1:], 0 * x[:1]], axis=0), from_taps)
        last = output_state(total)
        h = last.h + tf.transpose(from_output, [1, 0, 2])[..., : last.h.shape[-1]]
        added = last._replace(h=h)
        totals.append(added if last is total else total._replace(**{total._fields[-1]: added}))
    return totals


def output_state(state: Any) -> Any:
    """Return a cell's state; of a tuple of cell states the last, whose h is the output."""
    return state if hasattr(state, "h") else state[-1]


def unroll(step: Step, inputs: tf.Tensor, state: Any, name: str = "decoder") -> tf.Tensor:
    """Run `step(input_t, state) -> (output_t, state)` over time with `tf.scan`.

    Args:
        step: multiplies by weights only with `models.layers.linear.Layer.matmul`.
        inputs: `[batch, time, depth]`, of any float dtype.
        state: the initial state, any nest of `[batch, ...]`.
        name: of the recorded loop.

    Returns:
        `[batch, time, width]`, of the dtype of the outputs.
    """
    inputs = tf.transpose(inputs, [1, 0, 2])
    products = _Products()
    with linear.override_product(products.record):  # find the kernels and their inputs' shapes
        output, _ = step(inputs[0], state)
    steps = tf.shape(inputs)[0]
    taps = products.make_taps(steps)
    state_taps = _make_state_taps(steps, state) if _recording else ()

    def body(carry: Any, elements: Any) -> Any:
        input_t, taps_t, state_taps_t = elements
        state = tf.nest.map_structure(tf.add, carry[1], state_taps_t) if state_taps_t else carry[1]
        with linear.override_product(products.replay(taps_t)):
            output, state = step(input_t, state)
        return output, state, products.step_inputs

    initial = tf.zeros_like(output), state, [tf.zeros_like(x) for x in products.inputs]
    outputs, _, products.inputs = tf.scan(body, (inputs, taps, state_taps), initial)
    outputs = tf.transpose(outputs, [1, 0, 2])
    if _recording:
        _recording[1].append(RecordedLoop(name, step, inputs, state, state_taps, outputs))
    return outputs


def _make_state_taps(steps: tf.Tensor, state: Any) -> Any:
    """Return zeros like the state, `[steps, batch, ...]`, watched by the tape."""
    assert _recording

    state_taps = tf.nest.map_structure(
        lambda part: tf.zeros(tf.concat([[steps], tf.shape(part)], axis=0), part.dtype), state
    )
    _recording[0].watch(tf.nest.flatten(state_taps))
    return state_taps


class _Products:
    """The products x W of one step, in the order of their computation.

    Attributes:
        kernels: each W, `[depth, width]` or `[batch, depth, width]`, in the dtype of products.
        constants: the same without gradient.
        inputs: each x; after the loop with a leading time axis.
        step_inputs: each x of the step being traced.
    """

    def __init__(self) -> None:
        self.kernels: list[tf.Tensor] = []
        self.constants: list[tf.Tensor] = []
        self.inputs: list[tf.Tensor] = []
        self.step_inputs: list[tf.Tensor] = []

    def record(self, x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
        """Compute a product and record its factors."""
        constant = tf.stop_gradient(kernel)
        self.kernels.append(kernel)
        self.constants.append(constant)
        self.inputs.append(x)
        return linear.product(x, constant)

    def make_taps(self, steps: tf.Tensor) -> list[tf.Tensor]:
        """Return zeros to add to each product, `[time, ..., width]`, whose gradient is ∂L/∂Z."""
        return [self._make_tap(number, steps) for number in range(len(self.kernels))]

    def replay(self, taps: list[tf.Tensor]) -> Callable[[tf.Tensor, tf.Tensor], tf.Tensor]:
        """Return the product for a step inside the loop."""
        self.step_inputs = []

        def product(x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
            del kernel  # the constant replaces it: the loop has no gradient to accumulate
            number = len(self.step_inputs)
            self.step_inputs.append(x)
            return linear.product(x, self.constants[number]) + taps[number]

        return product

    def _make_tap(self, number: int, steps: tf.Tensor) -> tf.Tensor:
        kernel = self.kernels[number]
        rows = tf.shape(self.inputs[number])[:-1]
        shape = tf.concat([[steps], rows, [kernel.shape[-1]]], axis=0)

        @tf.custom_gradient
        def tap(kernel: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]]:
            def gradient(upstream: tf.Tensor) -> tf.Tensor:
                x = self.inputs[number]
                if kernel.shape.rank == 2:
                    x, upstream = (tf.reshape(y, [-1, y.shape[-1]]) for y in (x, upstream))
                else:  # [time, batch, 1, …] → [batch, time, …]
                    x, upstream = (tf.transpose(y[:, :, 0], [1, 0, 2]) for y in (x, upstream))
                return tf.matmul(x, upstream, transpose_a=True)

            return tf.zeros(shape, kernel.dtype), gradient

        return tap(kernel)
