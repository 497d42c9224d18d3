"""A step run along a sequence, with the gradients of its weights taken once for all steps.

A loop that is differentiated naively computes, at every step, a small product for the gradient of
every kernel and adds it to the sum so far: reading and writing all weights T times costs more than
the arithmetic. But z_t = x_t W gives

    ∂L/∂W = Σ_t x_tᵀ ∂L/∂z_t = Xᵀ ∂L/∂Z

one large product over the steps, if the loop keeps X and hands out ∂L/∂Z. `unroll` does so for
whatever the step multiplies by `models.linear.matmul`; the step itself knows nothing of it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from models import linear

Step = Callable[[tf.Tensor, Any], tuple[tf.Tensor, Any]]


def unroll(step: Step, inputs: tf.Tensor, state: Any) -> tf.Tensor:
    """Run `step(input_t, state) -> (output_t, state)` over time, inside the graph.

    Args:
        step: one step; all its products with weights go through `models.linear.matmul`.
        inputs: float32 `[batch, time, depth]`.
        state: before the first step, any nest of `[batch, ...]`.

    Returns:
        The outputs, float32 `[batch, time, width]`.
    """
    inputs = tf.transpose(inputs, [1, 0, 2])
    products = _Products()
    with linear.products_by(products.list_one):  # which kernels, and the shapes of their inputs
        output, _ = step(inputs[0], state)
    taps = products.taps(tf.shape(inputs)[0])

    def body(carry: Any, elements: Any) -> Any:
        input_t, taps_t = elements
        with linear.products_by(products.within(taps_t)):
            output, state = step(input_t, carry[1])
        return output, state, products.seen

    first = tf.zeros_like(output), state, [tf.zeros_like(x) for x in products.inputs]
    outputs, _, products.inputs = tf.scan(body, (inputs, taps), first)
    return tf.transpose(outputs, [1, 0, 2])


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
