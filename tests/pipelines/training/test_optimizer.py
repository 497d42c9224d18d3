"""The learning rate schedule, weight decay and the moving average of weights."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from pipelines.training.optimizer import MovingAverage, adamw, training_policy


def test_rate_rises_then_falls_as_a_cosine() -> None:
    rate = adamw(1e-2, 110, warmup_steps=10, weight_decay=0.0)._learning_rate
    values = [float(rate(step)) for step in range(111)]
    np.testing.assert_allclose(values[:11], np.linspace(0, 1e-2, 11), rtol=1e-5)
    halfway = 1e-2 * (0.98 * 0.5 + 0.02)
    assert values[60] == pytest.approx(halfway, rel=1e-4)
    assert values[110] == pytest.approx(2e-4, rel=1e-4)


def test_a_short_run_still_reaches_its_rate() -> None:
    rate = adamw(1e-2, 20, warmup_steps=200, weight_decay=0.0)._learning_rate
    assert max(float(rate(step)) for step in range(21)) == pytest.approx(1e-2, rel=1e-4)


def test_biases_do_not_decay() -> None:
    layer = keras.layers.Dense(2, bias_initializer="ones")
    layer.build((None, 3))
    kernel = layer.kernel.numpy()
    optimizer = adamw(0.1, 10, warmup_steps=0, weight_decay=0.5)
    optimizer.build(layer.trainable_variables)
    optimizer.apply([tf.zeros_like(v) for v in layer.trainable_variables])
    assert (layer.bias.numpy() == 1).all()
    np.testing.assert_allclose(layer.kernel, kernel * (1 - 0.1 * 0.5), rtol=1e-5)


def test_average_follows_its_recurrence() -> None:
    variable = keras.Variable([0.0])
    average = MovingAverage([variable], decay=0.5)
    expected = 0.0
    for step in range(1, 30):
        variable.assign([float(step)])
        average.update(tf.constant(step))
        decay = min(0.5, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * step
    np.testing.assert_allclose(average.averages[0], [expected], rtol=1e-5)


def test_swapping_twice_changes_nothing() -> None:
    variable = keras.Variable([3.0])
    average = MovingAverage([variable], decay=0.9)
    variable.assign([5.0])
    average.swap()
    assert (float(variable.value[0]), float(average.averages[0][0])) == (3.0, 5.0)
    average.swap()
    assert (float(variable.value[0]), float(average.averages[0][0])) == (5.0, 3.0)


def test_the_policy_has_the_requested_precision_of_products() -> None:
    assert training_policy("float32").products == "float32"
    assert training_policy("bfloat16").products == "bfloat16"
    assert training_policy("auto").products in ("float32", "bfloat16")
