"""The classifier's loss against NumPy, and that it learns."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from models.classifier import Classifier
from models.memory import Memory

BATCH, DEPTH, CLASSES = 6, 5, 3
TARGETS = np.array([0, 1, 2, 2, 1, 2], np.int32)


def memory() -> Memory:
    summary = np.random.default_rng(0).normal(size=(BATCH, DEPTH)).astype(np.float32)
    return Memory(tf.zeros([BATCH, 1, DEPTH]), tf.ones([BATCH, 1], tf.bool), tf.constant(summary))


def head(**options: object) -> Classifier:
    keras.utils.set_random_seed(1)
    made = Classifier(CLASSES, **options)  # type: ignore[arg-type]
    made.build(DEPTH)
    return made


@pytest.mark.parametrize("weights", [None, [1.0, 4.0, 0.5]])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_the_loss_is_the_weighted_mean_of_smoothed_cross_entropies(
    weights: list[float] | None, smoothing: float
) -> None:
    made = head(class_weights=weights)
    kernel, bias = (weight.astype(float) for weight in made.get_weights())
    logits = memory().summary.numpy().astype(float) @ kernel + bias
    log_p = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
    wanted = (1 - smoothing) * np.eye(CLASSES)[TARGETS] + smoothing / CLASSES
    losses = -(wanted * log_p).sum(axis=-1)
    share = np.ones(BATCH) if weights is None else np.array(weights)[TARGETS]
    expected = (share * losses).sum() / share.sum()
    found = made.loss(memory(), tf.constant(TARGETS), smoothing=smoothing)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_a_class_that_weighs_nothing_teaches_nothing() -> None:
    made = head(class_weights=[1.0, 1.0, 0.0])
    other = np.where(TARGETS == 2, 2, TARGETS)
    rows = np.flatnonzero(TARGETS == 2)
    changed = memory().summary.numpy()
    changed[rows] += 9
    moved = memory()._replace(summary=tf.constant(changed))
    np.testing.assert_allclose(made.loss(memory(), other), made.loss(moved, other), rtol=1e-6)


def test_weights_and_classes_must_agree() -> None:
    with pytest.raises(ValueError, match="2 weights for 3 classes"):
        head(class_weights=[1.0, 2.0])


def test_comes_back_from_its_configuration() -> None:
    made = head(class_weights=[1.0, 2.0, 3.0])
    copy = Classifier.from_config(made.get_config())
    copy.build(DEPTH)
    copy.set_weights(made.get_weights())
    assert copy.class_weights == made.class_weights
    np.testing.assert_array_equal(copy(memory()), made(memory()))
