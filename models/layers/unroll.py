"""A step run along a sequence, with the gradients of its weights taken once for all steps.

A loop that is differentiated naively computes, at every step, a small product for the gradient of
every kernel and adds it to the sum so far: reading and writing all weights T times costs more than
the arithmetic. But z_t = x_t W gives

    ∂L/∂W = Σ_t x_tᵀ ∂L/∂z_t = Xᵀ ∂L/∂Z

one large product over the steps, if the loop keeps X and hands out ∂L/∂Z. `unroll` does so for
whatever the step multiplies by `models.layers.linear.matmul`; the step itself knows nothing of it.

What comes back to each state on the way, ∂L/∂s_t, is found in the same way: see `record_loops`.
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
class Loop:
    """What was watched of one loop.

    Attributes:
        name: what ran.
        step: as given to `unroll`.
        inputs: float32 `[time, batch, depth]`.
        first: the state before the first step.
        zeros: like the state, `[time, batch, ...]`, added to it before each step: through
            `zeros[t]` flows back what step t and those after it ask of the state before it.
        outputs: float32 `[batch, time, width]`; the first of `width` are h.
    """

    name: str
    step: Step
    inputs: tf.Tensor
    first: Any
    zeros: Any
    outputs: tf.Tensor


_watched: tuple[tf.GradientTape, list[Loop]] | None = None


@contextlib.contextmanager
def record_loops(tape: tf.GradientTape) -> Iterator[list[Loop]]:
    """Note every loop that `unroll` runs inside, for `state_gradients`."""
    global _watched
    before, _watched = _watched, (tape, [])
    try:
        yield _watched[1]
    finally:
        _watched = before


def state_gradients(tape: tf.GradientTape, loss: tf.Tensor, loops: list[Loop]) -> list[Any]:
    """Return ∂L/∂s_t of each loop, like its state with a leading `[time, batch]`.

    s_t is the state after step t; it is asked for by the steps after it, and h_t, which is part of
    it, by whoever reads the output.
    """
    sources = [(loop.zeros, loop.outputs) for loop in loops]
    found = tape.gradient(loss, sources, unconnected_gradients=tf.UnconnectedGradients.ZERO)
    totals = []
    for later, read in found:
        after = tf.nest.map_structure(lambda x: tf.concat([x[1:], 0 * x[:1]], axis=0), later)
        speaker = output_state(after)
        units = speaker.h.shape[-1]
        told = speaker._replace(h=speaker.h + tf.transpose(read, [1, 0, 2])[..., :units])
        totals.append(told if speaker is after else after._replace(**{after._fields[-1]: told}))
    return totals


def output_state(state: Any) -> Any:
    """Return a cell's state; of several cells' the last one's, which makes the output."""
    return state if hasattr(state, "h") else state[-1]


def unroll(step: Step, inputs: tf.Tensor, state: Any, name: str = "decoder") -> tf.Tensor:
    """Run `step(input_t, state) -> (output_t, state)` over time, inside the graph.

    Args:
        step: one step; all its products with weights go through `models.layers.linear.matmul`.
        inputs: float32 `[batch, time, depth]`.
        state: before the first step, any nest of `[batch, ...]`.
        name: of what runs, for those who watch.

    Returns:
        The outputs, float32 `[batch, time, width]`.
    """
    inputs = tf.transpose(inputs, [1, 0, 2])
    products = _Products()
    with linear.products_by(products.list_one):  # which kernels, and the shapes of their inputs
        output, _ = step(inputs[0], state)
    steps = tf.shape(inputs)[0]
    taps, zeros = products.taps(steps), _zeros(steps, state) if _watched else ()

    def body(carry: Any, elements: Any) -> Any:
        input_t, taps_t, zeros_t = elements
        before = tf.nest.map_structure(tf.add, carry[1], zeros_t) if zeros_t else carry[1]
        with linear.products_by(products.within(taps_t)):
            output, after = step(input_t, before)
        return output, after, products.seen

    first = tf.zeros_like(output), state, [tf.zeros_like(x) for x in products.inputs]
    outputs, _, products.inputs = tf.scan(body, (inputs, taps, zeros), first)
    outputs = tf.transpose(outputs, [1, 0, 2])
    if _watched:
        _watched[1].append(Loop(name, step, inputs, state, zeros, outputs))
    return outputs


def _zeros(steps: tf.Tensor, state: Any) -> Any:
    """Return watched zeros like the state, `[steps, batch, ...]`."""
    assert _watched

    def like(part: tf.Tensor) -> tf.Tensor:
        return tf.zeros(tf.concat([[steps], tf.shape(part)], axis=0))

    zeros = tf.nest.map_structure(like, state)
    _watched[0].watch(tf.nest.flatten(zeros))
    return zeros


class _Products:
    """The products of one step, in the order in which it takes them.

    Attributes:
        kernels: what is multiplied by: `[depth, width]`, or `[batch, depth, width]`.
        inputs: what they multiply; after the loop with a leading time axis.
        seen: the inputs of the step being traced.
    """

    def __init__(self) -> None:
        self.kernels: list[Any] = []
        self.constants: list[tf.Tensor] = []
        self.inputs: list[tf.Tensor] = []
        self.seen: list[tf.Tensor] = []

    def list_one(self, x: tf.Tensor, kernel: Any) -> tf.Tensor:
        """Take a product as always, and note its factors."""
        constant = tf.stop_gradient(linear.rounded(kernel))
        self.kernels.append(kernel)
        self.constants.append(constant)
        self.inputs.append(linear.rounded(x))
        return linear.product(self.inputs[-1], constant)

    def taps(self, steps: tf.Tensor) -> list[tf.Tensor]:
        """Return zeros to add to each product, `[time, ..., width]`: through them flows ∂L/∂Z."""
        return [self._tap(number, steps) for number in range(len(self.kernels))]

    def within(self, taps: list[tf.Tensor]) -> Callable[[tf.Tensor, Any], tf.Tensor]:
        """Return how to take the products of a step inside the loop."""
        self.seen = []

        def take(x: tf.Tensor, kernel: Any) -> tf.Tensor:
            del kernel  # its constant stands in for it: the loop has no gradient to sum
            number = len(self.seen)
            self.seen.append(linear.rounded(x))
            return linear.product(self.seen[-1], self.constants[number]) + taps[number]

        return take

    def _tap(self, number: int, steps: tf.Tensor) -> tf.Tensor:
        kernel = tf.convert_to_tensor(self.kernels[number])
        rows = tf.shape(self.inputs[number])[:-1]
        shape = tf.concat([[steps], rows, [kernel.shape[-1]]], axis=0)

        @tf.custom_gradient
        def tap(kernel: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]]:
            def gradient(upstream: tf.Tensor) -> tf.Tensor:
                x = self.inputs[number]
                upstream = tf.cast(upstream, x.dtype)
                if kernel.shape.rank == 2:
                    x, upstream = (tf.reshape(y, [-1, y.shape[-1]]) for y in (x, upstream))
                else:  # [time, batch, 1, …] → [batch, time, …]
                    x, upstream = (tf.transpose(y[:, :, 0], [1, 0, 2]) for y in (x, upstream))
                return tf.cast(tf.matmul(x, upstream, transpose_a=True), kernel.dtype)

            return tf.zeros(shape), gradient

        return tap(kernel)
