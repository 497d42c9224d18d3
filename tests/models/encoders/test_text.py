"""Texts into memories: padding changes nothing, order does; saved and loaded alike."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from models.encoders.text import TextEncoder
from models.layers.cells import CELLS
from models.tokens import PAD, UNKNOWN

TOKENS = np.array([[1, 7, 5, 2, 0, 0], [1, 5, 7, 9, 4, 2], [1, 2, 0, 0, 0, 0]], np.int32)


def encoder(**options: object) -> TextEncoder:
    keras.utils.set_random_seed(2)
    made = TextEncoder(11, **{"units": 4, "embedding": 3} | options)  # type: ignore[arg-type]
    made.build()
    return made


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("cell", CELLS)
def test_memory_shapes_and_mask(cell: str, bidirectional: bool) -> None:
    made = encoder(cell=cell, bidirectional=bidirectional)
    memory = made(tf.constant(TOKENS))
    assert memory.values.shape == (3, 6, made.depth) == (3, 6, 8 if bidirectional else 4)
    np.testing.assert_array_equal(memory.mask, TOKENS > 0)
    assert memory.summary.shape == (3, made.depth)
    np.testing.assert_allclose(memory.summary[0, :4], memory.values[0, 3, :4], atol=1e-6)
    if bidirectional:
        np.testing.assert_allclose(memory.summary[:, 4:], memory.values[:, 0, 4:], atol=1e-6)


def test_a_row_does_not_depend_on_its_padding() -> None:
    made = encoder(layers=2)
    together, alone = made(tf.constant(TOKENS)), made(tf.constant(TOKENS[:1, :4]))
    np.testing.assert_allclose(together.summary[0], alone.summary[0], atol=1e-6)
    np.testing.assert_allclose(together.values[0, :4], alone.values[0], atol=1e-6)


def test_the_order_of_words_matters() -> None:
    turned = TOKENS[1:2, [0, 4, 3, 2, 1, 5]]
    made = encoder()
    assert np.abs(made(TOKENS[1:2]).summary - made(turned).summary).max() > 1e-4


def test_dropout_only_in_training() -> None:
    made = encoder(dropout=0.5)
    np.testing.assert_array_equal(made(TOKENS).summary, made(TOKENS).summary)
    once, again = made(TOKENS, training=True), made(TOKENS, training=True)
    assert (once.summary != again.summary).numpy().any()


def test_word_dropout_replaces_words_but_not_padding() -> None:
    made = encoder(word_dropout=0.999, dropout=0.0)
    hidden, unknown = made(TOKENS, training=True), made(np.where(TOKENS > 0, UNKNOWN, PAD))
    np.testing.assert_allclose(hidden.values, unknown.values, atol=1e-6)
    np.testing.assert_array_equal(hidden.mask, TOKENS > 0)
    assert np.abs(made(TOKENS).values - unknown.values).max() > 1e-3


def test_words_with_a_common_affix_share_part_of_their_embedding() -> None:
    made = encoder(affixes=4)
    numbers = np.zeros((11, 2), np.int32)
    numbers[5], numbers[7] = (1, 2), (3, 2)
    made.affix_numbers.assign(numbers)
    words, parts = made.embedding.numpy(), made.affix_vectors.numpy()
    plain = encoder()
    plain.set_weights([w for w in made.get_weights() if w.shape not in ((4, 3), (11, 2))])
    words[5] += parts[1] + parts[2]
    words[7] += parts[3] + parts[2]
    plain.embedding.assign(words)
    np.testing.assert_allclose(made(TOKENS).values, plain(TOKENS).values, atol=1e-6)
    hidden = encoder(affixes=4, word_dropout=0.999, dropout=0.0)  # nothing tells a hidden word
    hidden.set_weights(made.get_weights())
    unknown = made(np.where(TOKENS > 0, UNKNOWN, PAD))
    np.testing.assert_allclose(hidden(TOKENS, training=True).values, unknown.values, atol=1e-6)


def test_variational_dropout_uses_one_mask_for_all_words() -> None:
    tokens = np.full((4, 9), 5, np.int32)
    options = {"dropout": 0.5, "embedding_dropout": 0.0}
    values = encoder(**options, variational=True)(tokens, training=True).values.numpy()
    gone = values == 0
    assert gone.any() and not gone.all()
    np.testing.assert_array_equal(gone, np.broadcast_to(gone[:, :1], gone.shape))
    values = encoder(**options)(tokens, training=True).values.numpy()
    assert ((values == 0) != (values == 0)[:, :1]).any()


def test_config_round_trip() -> None:
    options = {"word_dropout": 0.2, "embedding_dropout": 0.7, "variational": True, "affixes": 3}
    made = encoder(cell="gru", layers=2, **options)
    assert made.get_config().items() >= options.items()
    copy = TextEncoder.from_config(made.get_config())
    copy.build()
    copy.set_weights(made.get_weights())
    np.testing.assert_array_equal(copy(TOKENS).summary, made(TOKENS).summary)
