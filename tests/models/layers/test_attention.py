"""Additive attention against its formula."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from models.layers.attention import AdditiveAttention

BATCH, ITEMS, DEPTH, QUERY, UNITS = 2, 5, 4, 3, 6


@pytest.fixture
def attention() -> AdditiveAttention:
    layer = AdditiveAttention(UNITS)
    layer.build((None, QUERY), (None, None, DEPTH))
    return layer


def memory() -> tf.Tensor:
    return tf.constant(np.random.default_rng(0).normal(size=(BATCH, ITEMS, DEPTH)), tf.float32)


def queries(rows: int) -> tf.Tensor:
    return tf.constant(np.random.default_rng(1).normal(size=(rows, QUERY)), tf.float32)


def test_equals_its_equation(attention: AdditiveAttention) -> None:
    values, query = memory(), queries(BATCH)
    mask = tf.ones([BATCH, ITEMS], tf.bool)
    context, weights = attention.attend(query, attention.keys(values), values, mask)
    w_k, b, w_q = (w.numpy() for w in attention.trainable_variables[1:4])
    v = attention.v.numpy()[:, 0]
    for row in range(BATCH):
        energies = [
            v @ np.tanh(m @ w_k + b + query[row].numpy() @ w_q) for m in values[row].numpy()
        ]
        alpha = np.exp(energies) / np.exp(energies).sum()
        np.testing.assert_allclose(weights[row], alpha, atol=1e-5)
        np.testing.assert_allclose(context[row], alpha @ values[row].numpy(), atol=1e-5)


def test_an_extra_query_is_added(attention: AdditiveAttention) -> None:
    values, query, mask = memory(), queries(BATCH), tf.ones([BATCH, ITEMS], tf.bool)
    keys = attention.keys(values)
    extra_query = attention.to_query(queries(BATCH) * 0.5)
    both, _ = attention.attend(query, keys, values, mask, extra_query)
    once, _ = attention.attend(query * 1.5, keys, values, mask)
    np.testing.assert_allclose(both, once, atol=1e-5)


def test_masked_items_have_weight_zero(attention: AdditiveAttention) -> None:
    values = memory()
    mask = tf.constant([[True, False, True, False, True], [True] * 5])
    _, weights = attention.attend(queries(BATCH), attention.keys(values), values, mask)
    assert (weights.numpy()[0, [1, 3]] == 0).all()
    np.testing.assert_allclose(weights.numpy().sum(axis=1), 1, atol=1e-6)


def test_a_fully_masked_row_is_finite(attention: AdditiveAttention) -> None:
    values = memory()
    mask = tf.zeros([BATCH, ITEMS], tf.bool)
    context, weights = attention.attend(queries(BATCH), attention.keys(values), values, mask)
    assert np.isfinite(context).all()
    assert np.isfinite(weights).all()


def test_beams_share_a_memory_without_repeating_it(attention: AdditiveAttention) -> None:
    values, beams = memory(), 3
    mask = tf.ones([BATCH, ITEMS], tf.bool)
    query = queries(BATCH * beams)
    together = attention.attend(query, attention.keys(values), values, mask)
    repeated = tf.repeat(values, beams, axis=0)
    apart = attention.attend(
        query, attention.keys(repeated), repeated, tf.repeat(mask, beams, axis=0)
    )
    for a, b in zip(together, apart, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)
