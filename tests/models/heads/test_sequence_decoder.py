"""The decoder: one step for training and search, for each of its cells."""

from __future__ import annotations

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from models.heads import sequence_decoder
from models.heads.decoder_cells import DECODERS
from models.heads.sequence_decoder import SequenceDecoder
from models.layers.cells import CELLS
from models.memory import Memory, memory_shape
from models.search.beam_search import beam_search
from models.search.hypotheses import SearchOptions
from models.search.sampling import greedy
from models.tokens import END, PAD, START

BATCH, ITEMS, DEPTH, VOCABULARY = 3, 4, 8, 11

OWN = tf.range(BATCH)  # one sentence per image

KINDS = list(itertools.product(DECODERS, CELLS))


@pytest.fixture(params=KINDS, ids=" ".join)
def kind(request: pytest.FixtureRequest) -> tuple[str, str]:
    """Return a decoder and the name of its recurrent cell: every pair, in each test."""
    found: tuple[str, str] = request.param
    return found


def decoder(kind: tuple[str, str], dropout: float = 0.0) -> SequenceDecoder:
    keras.utils.set_random_seed(3)
    name, cell = kind
    layer = SequenceDecoder(
        VOCABULARY, decoder=name, cell=cell, units=6, embedding=5, dropout=dropout
    )
    layer.build(memory_shape(DEPTH))
    return layer


def memory(rows: int = BATCH) -> Memory:
    values = np.random.default_rng(0).normal(size=(rows, ITEMS, DEPTH)).astype(np.float32)
    return Memory(
        tf.constant(values), tf.ones([rows, ITEMS], tf.bool), tf.constant(values.mean(axis=1))
    )


def sentences() -> np.ndarray:
    return np.array(
        [
            [START, 4, 5, 6, END, PAD],
            [START, 7, END, PAD, PAD, PAD],
            [START, 8, 9, 10, 4, END],
        ],
        np.int32,
    )


def test_training_and_search_compute_the_same_step(kind: tuple[str, str]) -> None:
    layer, tokens = decoder(kind), sentences()[:, :-1]
    outputs = layer.teacher_force(memory(), tf.constant(tokens), OWN)
    together = tf.stack(
        [layer.compute_logits(outputs[:, t]) for t in range(tokens.shape[1])], axis=1
    )
    step, state, cache = layer.prepare_search(memory())
    for t in range(tokens.shape[1]):
        logits, state, _ = step(tf.constant(tokens[:, t]), state, cache)
        np.testing.assert_allclose(logits, together[:, t], atol=1e-5)


def test_the_step_of_the_optimized_decoder_is_equal(kind: tuple[str, str]) -> None:
    layer, tokens = decoder(kind), sentences()[:, :-1]
    random = np.random.default_rng(1)
    layer.set_weights([random.normal(size=weight.shape) for weight in layer.get_weights()])
    step, state, cache = layer.prepare_search(memory())
    folded, same, prepared = layer.optimize_for_inference().prepare_search(memory())
    for t in range(tokens.shape[1]):
        logits, state, attention = step(tf.constant(tokens[:, t]), state, cache)
        found, same, own_attention = folded(tf.constant(tokens[:, t]), same, prepared)
        np.testing.assert_allclose(found, logits, rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(own_attention, attention, atol=1e-5)


def test_a_table_over_the_size_limit_is_not_built(
    kind: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    layer = decoder(kind)
    assert layer.optimize_for_inference() is not layer
    monkeypatch.setattr(sequence_decoder, "MAX_TABLE", VOCABULARY * 3)
    assert layer.optimize_for_inference() is layer


def test_beams_are_independent(kind: tuple[str, str]) -> None:
    """A step has batch * beams rows; the memory has batch rows."""
    layer, beams = decoder(kind), 2
    step, state, cache = layer.prepare_search(memory())
    wide = tf.nest.map_structure(lambda x: tf.repeat(x, beams, axis=0), state)
    tokens = tf.constant([4, 5, 6, 7, 8, 9])
    logits, _, attention = step(tokens, wide, cache)
    for beam in range(beams):
        alone, _, own_attention = step(tokens[beam::beams], state, cache)
        np.testing.assert_allclose(logits[beam::beams], alone, atol=1e-5)
        np.testing.assert_allclose(attention[beam::beams], own_attention, atol=1e-5)


def test_loss_is_the_mean_over_real_words(kind: tuple[str, str]) -> None:
    layer, tokens = decoder(kind), sentences()
    loss = layer.loss(memory(), (tf.constant(tokens), OWN), smoothing=0.1)
    step, state, cache = layer.prepare_search(memory())
    total, words = 0.0, 0
    for t in range(tokens.shape[1] - 1):
        logits, state, _ = step(tf.constant(tokens[:, t]), state, cache)
        log_p = tf.nn.log_softmax(logits).numpy()
        for row, word in enumerate(tokens[:, t + 1]):
            if word != PAD:
                total -= 0.9 * log_p[row, word] + 0.1 * log_p[row].mean()
                words += 1
    assert words == 11
    np.testing.assert_allclose(loss, total / words, rtol=1e-5)


def test_captions_of_one_image_share_its_memory(kind: tuple[str, str]) -> None:
    layer, tokens = decoder(kind), tf.constant(sentences())
    example_index = tf.constant([1, 1, 0])
    shared = layer.teacher_force(memory(2), tokens, example_index)
    repeated = Memory(*(tf.gather(part, example_index) for part in memory(2)))
    np.testing.assert_allclose(shared, layer.teacher_force(repeated, tokens, OWN), atol=1e-6)


def test_padding_changes_nothing(kind: tuple[str, str]) -> None:
    layer = decoder(kind)
    padded = np.pad(sentences(), ((0, 0), (0, 4)))
    a, b = (layer.loss(memory(), (tf.constant(tokens), OWN)) for tokens in (sentences(), padded))
    np.testing.assert_allclose(a, b, rtol=1e-6)


def test_every_weight_has_a_gradient(kind: tuple[str, str]) -> None:
    layer = decoder(kind)
    with tf.GradientTape() as tape:
        loss = layer.loss(memory(), (tf.constant(sentences()), OWN))
    gradients = tape.gradient(loss, layer.trainable_variables)
    # The energies have no bias: a constant would not change the softmax, nor have a gradient.
    still = [
        v.path
        for v, g in zip(layer.trainable_variables, gradients, strict=True)
        if g is None or not np.abs(tf.convert_to_tensor(g)).max() > 0
    ]
    assert still == []


# Each decoder and each cell once: training takes seconds.
@pytest.mark.parametrize("kind", [*zip(DECODERS, CELLS, strict=True)], ids=" ".join)
def test_overfits_a_batch_and_decodes_it(kind: tuple[str, str]) -> None:
    layer, tokens = decoder(kind), tf.constant(sentences())
    optimizer = keras.optimizers.Adam(0.02)

    @tf.function
    def train() -> tf.Tensor:
        with tf.GradientTape() as tape:
            loss = layer.loss(memory(), (tokens, OWN))
        gradients = tape.gradient(loss, layer.trainable_variables)
        optimizer.apply_gradients(zip(gradients, layer.trainable_variables, strict=True))
        return loss

    for _ in range(200):
        loss = train()
    assert loss < 0.05
    options = SearchOptions(beams=3, max_words=5, n_best=1)
    for found in (
        greedy(*layer.prepare_search(memory()), BATCH, options),
        beam_search(*layer.prepare_search(memory()), BATCH, options),
    ):
        np.testing.assert_array_equal(found.tokens[:, 0, :5], sentences()[:, 1:])


def test_scheduled_sampling_replaces_words_by_predictions(kind: tuple[str, str]) -> None:
    layer, inputs = decoder(kind), tf.constant(sentences()[:, :-1])
    none = layer._scheduled_sampling(memory(), inputs, OWN, tf.constant(0.0))
    np.testing.assert_array_equal(none, inputs)
    every = layer._scheduled_sampling(memory(), inputs, OWN, tf.constant(1.0)).numpy()
    assert (every[:, 0] == START).all()
    assert (every[inputs.numpy() == PAD] == PAD).all()
    outputs = layer.teacher_force(memory(), inputs, OWN)
    predicted = tf.argmax(layer.compute_logits(outputs[:, 0]), axis=-1)
    np.testing.assert_array_equal(every[:, 1], predicted)


def test_dropout_only_in_training(kind: tuple[str, str]) -> None:
    layer = decoder(kind, dropout=0.5)
    inputs = tf.constant(sentences()[:, :-1])
    a, b = (
        layer.teacher_force(memory(), inputs, OWN),
        layer.teacher_force(memory(), inputs, OWN),
    )
    np.testing.assert_array_equal(a, b)
    assert not np.array_equal(a, layer.teacher_force(memory(), inputs, OWN, training=True))


def test_the_output_depends_on_the_memory(kind: tuple[str, str]) -> None:
    layer, tokens = decoder(kind), tf.constant([[START]] * BATCH)
    outputs = layer.teacher_force(memory(), tokens, OWN)
    assert np.abs(outputs[0] - outputs[1]).max() > 1e-4


def test_attention_depends_on_the_last_word(kind: tuple[str, str]) -> None:
    """After "a red", a decoder without the last word could not attend to the red object."""
    step, state, cache = decoder(kind).prepare_search(memory())
    _, _, after_one = step(tf.constant([4, 4, 4]), state, cache)
    _, _, after_another = step(tf.constant([9, 9, 9]), state, cache)
    assert after_one.shape[1] == 0 or np.abs(after_one - after_another).max() > 1e-3
