"""Cross-entropy with label smoothing against the definition."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from models.layers.losses import cross_entropy

LOGITS = np.random.default_rng(0).normal(size=(6, 9)).astype(np.float32)
TARGETS = np.array([0, 3, 8, 3, 1, 5], np.int32)


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.7])
def test_equals_the_definition(smoothing: float) -> None:
    log_p = LOGITS - np.log(np.exp(LOGITS).sum(axis=1, keepdims=True))
    wanted = np.full(LOGITS.shape, smoothing / LOGITS.shape[1])
    wanted[np.arange(len(TARGETS)), TARGETS] += 1 - smoothing
    expected = -(wanted * log_p).sum(axis=1)
    loss = cross_entropy(tf.constant(LOGITS), tf.constant(TARGETS), smoothing)
    np.testing.assert_allclose(loss, expected, atol=1e-5)


def test_gradient_is_prediction_minus_target() -> None:
    logits = tf.Variable(LOGITS)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(cross_entropy(logits, tf.constant(TARGETS), 0.2))
    p = np.exp(LOGITS) / np.exp(LOGITS).sum(axis=1, keepdims=True)
    wanted = np.full(LOGITS.shape, 0.2 / LOGITS.shape[1])
    wanted[np.arange(len(TARGETS)), TARGETS] += 0.8
    np.testing.assert_allclose(tape.gradient(loss, logits), p - wanted, atol=1e-5)
