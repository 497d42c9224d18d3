"""The classifier: its loss and its poolings against NumPy."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from models.heads.classifier import Classifier
from models.memory import Memory, memory_shape

BATCH, DEPTH, CLASSES = 6, 5, 3
TARGETS = np.array([0, 1, 2, 2, 1, 2], np.int32)


def memory() -> Memory:
    summary = np.random.default_rng(0).normal(size=(BATCH, DEPTH)).astype(np.float32)
    return Memory(tf.zeros([BATCH, 1, DEPTH]), tf.ones([BATCH, 1], tf.bool), tf.constant(summary))


def head(**options: object) -> Classifier:
    keras.utils.set_random_seed(1)
    made = Classifier(CLASSES, **options)  # type: ignore[arg-type]
    made.build(memory_shape(DEPTH))
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


def test_a_class_of_weight_zero_does_not_affect_the_loss() -> None:
    made = head(class_weights=[1.0, 1.0, 0.0])
    other = np.where(TARGETS == 2, 2, TARGETS)
    rows = np.flatnonzero(TARGETS == 2)
    changed = memory().summary.numpy()
    changed[rows] += 9
    moved = memory()._replace(summary=tf.constant(changed))
    np.testing.assert_allclose(made.loss(memory(), other), made.loss(moved, other), rtol=1e-6)


def items() -> Memory:
    values = np.random.default_rng(2).normal(size=(2, 4, DEPTH)).astype(np.float32)
    mask = np.array([[True] * 4, [True, True, False, False]])
    return Memory(tf.constant(values), tf.constant(mask), tf.constant(values[:, -1]))


def test_mean_pooling_ignores_padding() -> None:
    made, memory = head(pooling="mean"), items()
    mean = np.stack([memory.values[0].numpy().mean(0), memory.values[1, :2].numpy().mean(0)])
    np.testing.assert_allclose(made(memory), made.project(tf.constant(mean)), atol=1e-6)


def test_attention_pooling_equals_its_equation_without_padding() -> None:
    made, memory = head(pooling="attention"), items()
    weights = made.attention_weights(memory).numpy()
    assert weights.sum(axis=1) == pytest.approx([1, 1]) and not weights[1, 2:].any()
    values = memory.values.numpy()
    compared = np.tanh(values @ made.compare.kernel.numpy() + made.compare.bias.numpy())
    energies = (compared @ made.weigh.kernel.numpy())[..., 0]
    for row, count in enumerate((4, 2)):
        alpha = np.exp(energies[row, :count]) / np.exp(energies[row, :count]).sum()
        np.testing.assert_allclose(weights[row, :count], alpha, rtol=1e-5)
        pooled = (alpha[:, None] * values[row, :count]).sum(0)[None]
        np.testing.assert_allclose(
            made(memory)[row : row + 1], made.project(tf.constant(pooled)), atol=1e-5
        )


def test_max_pooling_ignores_padding() -> None:
    made, memory = head(pooling="max"), items()
    values = memory.values.numpy()
    highest = np.stack([values[0].max(0), values[1, :2].max(0)])
    np.testing.assert_allclose(made(memory), made.project(tf.constant(highest)), atol=1e-6)
    share = [(values[0].argmax(0) == item).mean() for item in range(4)]
    np.testing.assert_allclose(made.attention_weights(memory)[0], share, atol=1e-6)
    nothing = memory._replace(mask=tf.zeros([2, 4], tf.bool))
    np.testing.assert_allclose(made(nothing), made.project(tf.zeros([2, DEPTH])), atol=1e-6)
