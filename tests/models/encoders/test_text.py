"""The text encoder: padding, order, dropout, affixes."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from models.encoders.text import TextEncoder
from models.layers.cells import CELLS
from models.layers.rnn import Recurrent
from models.tokens import PAD, UNKNOWN

TOKENS = np.array([[1, 7, 5, 2, 0, 0], [1, 5, 7, 9, 4, 2], [1, 2, 0, 0, 0, 0]], np.int32)


def encoder(
    cell: str = "lstm", layers: int = 1, bidirectional: bool = True, **options: Any
) -> TextEncoder:
    keras.utils.set_random_seed(2)
    recurrent = Recurrent(
        cell, 4, layers=layers, bidirectional=bidirectional, dropout=options.get("dropout", 0.5)
    )
    layer = TextEncoder(11, recurrent, **{"embedding": 3} | options)
    layer.build()
    return layer


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("cell", CELLS)
def test_memory_shapes_and_mask(cell: str, bidirectional: bool) -> None:
    layer = encoder(cell=cell, bidirectional=bidirectional)
    memory = layer(tf.constant(TOKENS))
    assert memory.values.shape == (3, 6, layer.depth) == (3, 6, 8 if bidirectional else 4)
    np.testing.assert_array_equal(memory.mask, TOKENS > 0)
    assert memory.summary.shape == (3, layer.depth)
    np.testing.assert_allclose(memory.summary[0, :4], memory.values[0, 3, :4], atol=1e-6)
    if bidirectional:
        np.testing.assert_allclose(memory.summary[:, 4:], memory.values[:, 0, 4:], atol=1e-6)


def test_a_row_does_not_depend_on_its_padding() -> None:
    layer = encoder(layers=2)
    together, alone = layer(tf.constant(TOKENS)), layer(tf.constant(TOKENS[:1, :4]))
    np.testing.assert_allclose(together.summary[0], alone.summary[0], atol=1e-6)
    np.testing.assert_allclose(together.values[0, :4], alone.values[0], atol=1e-6)


def test_the_order_of_words_matters() -> None:
    turned = TOKENS[1:2, [0, 4, 3, 2, 1, 5]]
    layer = encoder()
    assert np.abs(layer(TOKENS[1:2]).summary - layer(turned).summary).max() > 1e-4


def test_dropout_only_in_training() -> None:
    layer = encoder(dropout=0.5)
    np.testing.assert_array_equal(layer(TOKENS).summary, layer(TOKENS).summary)
    once, again = layer(TOKENS, training=True), layer(TOKENS, training=True)
    assert (once.summary != again.summary).numpy().any()


def test_word_dropout_replaces_words_but_not_padding() -> None:
    layer = encoder(word_dropout=0.999, dropout=0.0)
    hidden, unknown = layer(TOKENS, training=True), layer(np.where(TOKENS > 0, UNKNOWN, PAD))
    np.testing.assert_allclose(hidden.values, unknown.values, atol=1e-6)
    np.testing.assert_array_equal(hidden.mask, TOKENS > 0)
    assert np.abs(layer(TOKENS).values - unknown.values).max() > 1e-3


def test_words_with_a_common_affix_share_part_of_their_embedding() -> None:
    layer = encoder(affixes=4)
    numbers = np.zeros((11, 2), np.int32)
    numbers[5], numbers[7] = (1, 2), (3, 2)
    layer.affix_numbers.assign(numbers)
    words, parts = layer.embedding.numpy(), layer.affix_vectors.numpy()
    plain = encoder()
    plain.set_weights([w for w in layer.get_weights() if w.shape not in ((4, 3), (11, 2))])
    words[5] += parts[1] + parts[2]
    words[7] += parts[3] + parts[2]
    plain.embedding.assign(words)
    np.testing.assert_allclose(layer(TOKENS).values, plain(TOKENS).values, atol=1e-6)
    hidden = encoder(affixes=4, word_dropout=0.999, dropout=0.0)  # a replaced word has no effect
    hidden.set_weights(layer.get_weights())
    unknown = layer(np.where(TOKENS > 0, UNKNOWN, PAD))
    np.testing.assert_allclose(hidden(TOKENS, training=True).values, unknown.values, atol=1e-6)


def test_variational_dropout_uses_one_mask_for_all_words() -> None:
    tokens = np.full((4, 9), 5, np.int32)
    options: dict[str, Any] = {"dropout": 0.5, "embedding_dropout": 0.0}
    values = encoder(**options, variational=True)(tokens, training=True).values.numpy()
    gone = values == 0
    assert gone.any() and not gone.all()
    np.testing.assert_array_equal(gone, np.broadcast_to(gone[:, :1], gone.shape))
    values = encoder(**options)(tokens, training=True).values.numpy()
    assert ((values == 0) != (values == 0)[:, :1]).any()
