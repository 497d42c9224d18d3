"""Matrix products and their precision."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from models.layers.linear import Layer, Linear, ProductPolicy, use_policy

LAYER = Layer(dtype="float32")


def random(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def test_product_of_any_rank_equals_numpy() -> None:
    x, w = random(2, 3, 4, 5), random(5, 6)
    np.testing.assert_allclose(
        LAYER.matmul(tf.constant(x), tf.constant(w)), x @ w, rtol=1e-5, atol=1e-5
    )


def test_half_precision_inputs_are_accepted() -> None:
    x, w = random(3, 5).astype(np.float16), random(5, 6)
    result = LAYER.matmul(tf.constant(x), tf.constant(w))
    assert result.dtype == tf.float32
    np.testing.assert_allclose(result, x.astype(np.float32) @ w, rtol=1e-5, atol=1e-5)


def test_bfloat16_rounds_only_the_factors() -> None:
    x, w = random(3, 64), random(64, 6)

    def rounded(a: np.ndarray) -> np.ndarray:
        return tf.cast(tf.cast(a, tf.bfloat16), tf.float32).numpy()

    result = Layer(dtype=ProductPolicy("bfloat16")).matmul(tf.constant(x), tf.constant(w)).numpy()
    # The product is rounded to bfloat16: 8 bits, relative error 2**-8.
    np.testing.assert_allclose(result, rounded(x) @ rounded(w), rtol=2**-7, atol=1e-2)
    assert not np.array_equal(result, LAYER.matmul(tf.constant(x), tf.constant(w)))


def test_a_layer_is_saved_without_its_precision_of_products() -> None:
    layer = Linear(6, dtype=ProductPolicy("bfloat16"))
    assert (layer.product_dtype, layer.compute_dtype) == ("bfloat16", "float32")
    copy = Linear.from_config(layer.get_config())
    assert (copy.product_dtype, copy.compute_dtype) == ("float32", "float32")


def test_a_policy_ends_with_its_context() -> None:
    layer, x = Linear(6), tf.constant(random(3, 64))
    before = layer(x).numpy()
    with use_policy(layer, ProductPolicy("bfloat16")):
        assert not np.array_equal(layer(x), before)
    np.testing.assert_array_equal(layer(x), before)


def test_layer_equals_its_equation() -> None:
    layer = Linear(6, activation="relu")
    layer.build((None, 5))
    layer.bias.assign(random(6))
    x = random(2, 5)
    expected = np.maximum(x @ layer.kernel.numpy() + layer.bias.numpy(), 0)
    np.testing.assert_allclose(layer(x), expected, atol=1e-5)
