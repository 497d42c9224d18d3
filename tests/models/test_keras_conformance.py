"""Keras's own checks of a layer: configuration, serialization, symbolic calls, mixed precision."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras.src.testing import TestCase  # not public, but what Keras tests its own layers with

from models.encoders.image import ImageEncoder
from models.encoders.text import TextEncoder
from models.encoders.video import VideoEncoder
from models.heads.classifier import Classifier
from models.heads.sequence_decoder import SequenceDecoder
from models.layers.attention import AdditiveAttention
from models.layers.cells import CELLS, Cell
from models.layers.linear import Linear
from models.layers.rnn import Recurrent
from models.memory import Memory
from tests.support.paths import ROOT

pytestmark = pytest.mark.filterwarnings("ignore:.shuffle=True. was passed")


class Check(TestCase):
    """Keras's test case, outside unittest."""

    def runTest(self) -> None:
        pass


def check(layer: type[keras.layers.Layer], arguments: dict[str, Any], **options: Any) -> None:
    Check().run_layer_test(layer, arguments, **options)


def test_linear() -> None:
    check(
        Linear,
        {"units": 3, "activation": "relu"},
        input_shape=(2, 4, 5),
        expected_output_shape=(2, 4, 3),
        expected_num_trainable_weights=2,
    )


@pytest.mark.parametrize("kind", CELLS)
def test_a_cell_in_keras_layers_rnn(kind: str) -> None:
    check(
        keras.layers.RNN,
        {"cell": CELLS[kind](4), "return_sequences": True},
        input_shape=(2, 5, 3),
        expected_output_shape=(2, 5, 4),
        expected_num_trainable_weights=3,
        expected_num_non_trainable_weights=0,
        supports_masking=True,
    )


def test_recurrent() -> None:
    """With XLA too: Keras compiles the training step of its check."""
    check(
        Recurrent,
        {"cell": "lstm", "units": 4, "bidirectional": True, "layers": 2, "dropout": 0.1},
        input_shape=(2, 5, 3),
        expected_output_shape=((2, 5, 8), (2, 8)),
        expected_num_trainable_weights=12,
        supports_masking=True,
    )


def test_attention() -> None:
    check(
        AdditiveAttention,
        {"units": 6},
        input_shape={"query_shape": (2, 4), "values_shape": (2, 5, 3)},
        expected_output_shape=((2, 3), (2, 5)),
        run_training_check=False,  # it passes one tensor only
    )


@pytest.mark.parametrize(
    ("layer", "arguments", "shape", "dtype", "items"),
    [
        (ImageEncoder, {"depth": 6}, (2, 4, 3), "float32", 4),
        (VideoEncoder, {"recurrent": Recurrent("gru", 6), "times": True}, (2, 5, 3), "float32", 5),
        (TextEncoder, {"vocabulary": 9, "recurrent": Recurrent("rnn", 6)}, (2, 5), "int32", 5),
    ],
)
def test_encoders(
    layer: type[keras.layers.Layer],
    arguments: dict[str, Any],
    shape: tuple[int, ...],
    dtype: str,
    items: int,
) -> None:
    check(
        layer,
        arguments,
        input_shape=shape,
        input_dtype=dtype,
        expected_output_shape=Memory((2, items, 6), (2, items), (2, 6)),
        run_training_check=False,  # it sums all outputs, and the mask is bool
        run_mixed_precision_check=False,  # see below: a shared layer has one precision
    )


def memory(dtype: str = "float32") -> Memory:
    values = np.random.default_rng(0).normal(size=(2, 5, 4))
    mask = tf.constant([[True] * 5, [True, True, False, False, False]])
    return Memory(tf.cast(values, dtype), mask, tf.cast(values[:, 0], dtype))


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16", "float64"])
def test_layers_compute_in_the_dtype_of_their_policy(policy: str) -> None:
    dtype = keras.DTypePolicy(policy).compute_dtype
    frames, mask = tf.ones([2, 5, 3]), tf.ones([2, 5], tf.bool)
    video = VideoEncoder(Recurrent("gru", 4, dtype=policy), norm=True, times=True, dtype=policy)
    text = TextEncoder(9, Recurrent("lstm", 4, dtype=policy), affixes=3, dtype=policy)
    image = ImageEncoder(4, dtype=policy)
    found = [video(frames, mask), text(tf.constant([[1, 4, 2], [1, 2, 0]])), image(frames)]
    assert {each.dtype.name for one in found for each in (one.values, one.summary)} == {dtype}
    weights = {weight.dtype for layer in (video, text, image) for weight in layer.trainable_weights}
    assert weights == {keras.DTypePolicy(policy).variable_dtype}


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16", "float64"])
@pytest.mark.parametrize("decoder", ["show-tell", "show-attend-tell", "updown"])
def test_a_decoder_in_another_precision_is_close_to_float32(policy: str, decoder: str) -> None:
    options: dict[str, Any] = {"decoder": decoder, "units": 8, "embedding": 6, "dropout": 0.0}
    exact, other = SequenceDecoder(7, **options), SequenceDecoder(7, dtype=policy, **options)
    tokens = tf.constant([[1, 4, 5], [1, 6, 4]])
    expected, dtype = exact(memory(), tokens), keras.DTypePolicy(policy).compute_dtype
    other.build(((None, None, 4), (None, None), (None, 4)))
    other.set_weights(exact.get_weights())
    found = other(memory(dtype), tokens)
    assert found.dtype == dtype
    np.testing.assert_allclose(tf.cast(found, tf.float32), expected, atol=0.05)


@pytest.mark.parametrize("pooling", ["summary", "mean", "max", "attention"])
def test_a_classifier_in_float16_is_close_to_float32(pooling: str) -> None:
    exact = Classifier(3, pooling=pooling)
    other = Classifier(3, pooling=pooling, dtype="mixed_float16")
    expected = exact(memory())
    other.build(((None, None, 4), (None, None), (None, 4)))
    other.set_weights(exact.get_weights())
    found = other(memory("float16"))
    assert found.dtype == tf.float16 and np.isfinite(found).all()
    np.testing.assert_allclose(tf.cast(found, tf.float32), expected, atol=0.02)


@pytest.mark.parametrize(
    "layer",
    [
        SequenceDecoder(7, decoder="updown", cell="gru", units=4, embedding=6, dropout=0.1),
        Classifier(3, class_weights=[1.0, 2.0, 0.5], pooling="attention"),
        VideoEncoder(Recurrent("gru", 4, layers=2), motion=True, dropout=0.2),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_a_configuration_makes_the_same_layer(layer: keras.layers.Layer) -> None:
    Check().run_class_serialization_test(layer)


def test_recurrent_layers_take_the_mask_of_an_embedding() -> None:
    tokens = np.array([[3, 1, 2, 0, 0], [5, 4, 0, 0, 0]])
    embedding = keras.layers.Embedding(6, 3, mask_zero=True)
    layer = Recurrent("lstm", 4, bidirectional=True)
    inputs = keras.Input((None,), dtype="int32")
    model = keras.Model(inputs, layer(embedding(inputs)))
    _, padded = model(tokens)
    _, alone = model(tokens[:1, :3])
    np.testing.assert_allclose(padded[0], alone[0], atol=1e-6)
    outputs, _ = layer(embedding(tokens))
    np.testing.assert_array_equal(outputs._keras_mask, tokens != 0)


def test_a_cell_starts_from_a_given_state() -> None:
    cell: Cell = CELLS["lstm"](4)
    keras_lstm = keras.layers.LSTM(4, return_state=True)
    layer = keras.layers.RNN(cell, return_state=True)
    x, state = tf.random.normal([2, 5, 3]), [tf.random.normal([2, 4]) for _ in range(2)]
    expected = keras_lstm(x, initial_state=state)
    layer.build(x.shape)
    layer.set_weights(keras_lstm.get_weights())
    for ours, theirs in zip(layer(x, initial_state=state), expected, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_another_backend_is_refused() -> None:
    code = "import keras; keras.backend.backend = lambda: 'torch'; import models.layers.cells"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    line = done.stderr.splitlines()[-1]
    assert "Wordreel needs Keras's backend tensorflow, not torch: unset KERAS_BACKEND" in line
