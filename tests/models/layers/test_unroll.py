"""Unrolled loops: gradients equal those of a Python loop."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from models.heads.decoder_cells import DECODERS
from models.layers.linear import Layer, ProductPolicy
from models.layers.unroll import unroll
from models.memory import Memory

matmul = Layer(dtype="float32").matmul
BATCH, TIME, ITEMS, DEPTH = 3, 5, 4, 6


def random(*shape: int) -> tf.Tensor:
    return tf.constant(np.random.default_rng(len(shape)).normal(size=shape), tf.float32)


def by_steps(step: Any, inputs: tf.Tensor, state: Any) -> tf.Tensor:
    """Run a step over time as plain Python, so that TensorFlow differentiates each product."""
    outputs = []
    for t in range(inputs.shape[1]):
        output, state = step(inputs[:, t], state)
        outputs.append(output)
    return tf.stack(outputs, axis=1)


@pytest.mark.parametrize("graph", [False, True])
@pytest.mark.parametrize(
    ("name", "recurrent"), [*((name, "lstm") for name in DECODERS), ("updown", "gru")]
)
def test_gradients_equal_those_of_a_python_loop(name: str, recurrent: str, graph: bool) -> None:
    keras.utils.set_random_seed(2)
    cell = DECODERS[name](8, recurrent)
    cell.build(DEPTH, DEPTH)
    values, embedded = random(BATCH, ITEMS, DEPTH), random(BATCH, TIME, DEPTH)

    def gradients(run: Any) -> list[np.ndarray]:
        with tf.GradientTape() as tape:
            tape.watch([values, embedded])
            memory = Memory(
                values, tf.ones([BATCH, ITEMS], tf.bool), tf.reduce_mean(values, axis=1)
            )
            cache = cell.prepare(memory)
            outputs = run(
                lambda x, state: cell.step(x, state, cache)[:2],
                cell.project(embedded),
                cell.initial_state(memory),
            )
            loss = tf.reduce_sum(outputs**2 * random(BATCH, TIME, cell.output_depth))
        sources = [*(v.value for v in cell.trainable_variables), values, embedded]
        return [loss, *map(tf.convert_to_tensor, tape.gradient(loss, sources))]

    compiled = tf.function(gradients, autograph=False)
    ours = (compiled if graph else gradients)(unroll)
    for one, other in zip(ours, gradients(by_steps), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def test_a_kernel_of_two_products_receives_both_gradients() -> None:
    kernel = tf.Variable(random(DEPTH, DEPTH) / 4)

    def step(x: tf.Tensor, state: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        state = tf.tanh(matmul(x, kernel) + matmul(state, kernel))
        return state, state

    def gradient(run: Any) -> tf.Tensor:
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(run(step, random(BATCH, TIME, DEPTH), tf.zeros([BATCH, DEPTH])))
        return tape.gradient(loss, kernel)

    np.testing.assert_allclose(gradient(unroll), gradient(by_steps), rtol=1e-4, atol=1e-5)


def test_sums_stay_float32_with_rounded_products() -> None:
    """A thousand steps that each add 1: a bfloat16 sum would stop at 256."""
    kernel = tf.Variable([[0.0]])
    rounded = Layer(dtype=ProductPolicy("bfloat16")).matmul
    with tf.GradientTape() as tape:
        outputs = unroll(lambda x, s: (rounded(x, kernel), s), tf.ones([1, 1000, 1]), ())
        loss = tf.reduce_sum(outputs)
    np.testing.assert_allclose(tape.gradient(loss, kernel), [[1000.0]])


def test_the_number_of_steps_may_be_unknown() -> None:
    kernel = tf.Variable(random(DEPTH, DEPTH))

    @tf.function(input_signature=[tf.TensorSpec([None, None, DEPTH])], autograph=False)
    def run(x: tf.Tensor) -> tf.Tensor:
        return unroll(lambda x, s: (matmul(x, kernel) + s, s), x, tf.zeros([tf.shape(x)[0], DEPTH]))

    for time in (1, 4):
        x = random(2, time, DEPTH)
        np.testing.assert_allclose(run(x), x @ kernel, atol=1e-5)
