"""Greedy search and sampling, and every search in a graph and an export."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings

from models.search.beam_search import beam_search
from models.search.hypotheses import Hypotheses, SearchOptions
from models.search.sampling import greedy, sample
from models.tokens import END, START
from tests.support.toy_search import Toy, any_options, any_toys, every, words

modest = settings(max_examples=15, deadline=None)


def assert_same(one: Hypotheses, other: Hypotheses) -> None:
    for name, left, right in zip(Hypotheses._fields, one, other, strict=True):
        np.testing.assert_allclose(left, right, rtol=1e-6, err_msg=name)


@modest
@given(any_toys, any_options)
def test_greedy_selects_the_most_likely_word_and_equals_a_beam_of_one(
    toy: Toy, options: SearchOptions
) -> None:
    found = toy.greedy(options)
    assert_same(found, toy.search(dataclasses.replace(options, beams=1)))
    for row in range(toy.batch):
        sentence: tuple[int, ...] = ()
        while True:
            following = toy.next(row, sentence, options)
            best = max(following, key=following.__getitem__)
            if best == END:
                break
            sentence += (best,)
        assert words(found, row) == sentence


FIRST = {4: 0.4, 5: 0.3, 6: 0.2, 7: 0.1}
ONE_WORD = SearchOptions(max_words=1)


def one_word_toy() -> Toy:
    return Toy.chain({START: FIRST} | {word: {END: 1.0} for word in FIRST}, size=8)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_sample_frequencies_equal_the_tempered_probabilities(temperature: float) -> None:
    count = 5_000
    found = one_word_toy().sample(ONE_WORD, 7, temperature=temperature, samples=count)
    sampled = np.bincount(found.tokens[0, :, 0], minlength=8)[4:]
    expected = np.array(list(FIRST.values())) ** (1 / temperature)
    expected *= count / expected.sum()
    chi_square = np.sum((sampled - expected) ** 2 / expected)
    assert chi_square < 16.27  # 3 degrees of freedom, p = 0.001


@pytest.mark.parametrize(
    ("how", "support"),
    [
        ({}, {4, 5, 6, 7}),
        ({"top_k": 1}, {4}),
        ({"top_k": 3}, {4, 5, 6}),
        ({"top_k": 100}, {4, 5, 6, 7}),
        ({"top_p": 0.39}, {4}),
        ({"top_p": 0.41}, {4, 5}),
        ({"top_p": 0.69}, {4, 5}),
        ({"top_p": 0.91}, {4, 5, 6, 7}),
        ({"top_p": 1e-30}, {4}),
        # Of .4 / .7 and .3 / .7 the first holds .57 already; without top_k it holds .4.
        ({"top_p": 0.5}, {4, 5}),
        ({"top_p": 0.5, "top_k": 2}, {4}),
        # Cold, 4 holds .16 / .30 = .53.
        ({"top_p": 0.5, "temperature": 0.5}, {4}),
        ({"temperature": 1e-30}, {4}),
    ],
)
def test_top_k_and_top_p_keep_exactly_their_words(how: Any, support: set[int]) -> None:
    found = one_word_toy().sample(ONE_WORD, 3, samples=500, **how)
    assert {word for (word,) in every(found)} == support


@pytest.mark.parametrize("how", [{"top_k": 2}, {"top_p": 0.4}])
def test_ties_are_limited_to_two_of_four_equal_words(how: dict[str, Any]) -> None:
    toy = Toy.chain(
        {START: dict.fromkeys(FIRST, 0.25)} | {word: {END: 1.0} for word in FIRST}, size=8
    )
    found = toy.sample(ONE_WORD, 3, samples=500, **how)
    assert {word for (word,) in every(found)} == {4, 5}


def test_a_seed_determines_the_samples_and_rows_differ() -> None:
    toy = Toy(np.zeros([3, 12, 12, 12]))
    options = SearchOptions(max_words=8)
    found = toy.sample(options, 5, samples=4)
    assert_same(found, toy.sample(options, 5, samples=4))
    sampled = {sentence for row in range(3) for sentence in every(found, row)}
    assert len(sampled) > 8  # of 12; the empty sentence has one in nine
    assert sampled != {s for row in range(3) for s in every(toy.sample(options, 6, samples=4), row)}


@pytest.mark.parametrize(
    "how", [{"temperature": 0.0}, {"top_k": -1}, {"top_p": 0.0}, {"top_p": 1.5}]
)
def test_a_sampling_value_out_of_range_is_named(how: dict[str, Any]) -> None:
    ((name, value),) = how.items()
    with pytest.raises(ValueError, match=rf"{name} must be .*, not {value}"):
        one_word_toy().sample(ONE_WORD, 1, **how)
    with pytest.raises(tf.errors.InvalidArgumentError, match=f"{name} must be"):
        one_word_toy().sample(ONE_WORD, 1, **{name: tf.constant(value)})


def test_an_empty_batch_gives_empty_results() -> None:
    toy = Toy(np.zeros([1, 6, 6, 6]))
    state = tf.nest.map_structure(lambda part: part[:0], toy.start())

    def one_step(tokens: tf.Tensor, state: Any, memory: Any) -> tuple[Any, Any, Any]:
        return tf.zeros([0, 6]), state, tf.zeros([0, 3])

    for find in (greedy, beam_search):
        found = find(one_step, state, (), 0, ONE_WORD)
        assert found.tokens.shape == (0, 1, 2) and found.attention.shape == (0, 1, 2, 3)


class Exported(tf.Module):
    """The three searches over rows whose logits come in: [batch, V, V], next word by last."""

    options = SearchOptions(
        beams=3, n_best=2, max_words=5, min_words=1, no_repeat_ngram_size=2, length_penalty=0.7
    )
    rows = tf.TensorSpec([None, 7, 7])

    def over(self, rows: tf.Tensor) -> tuple[Any, Any, Any, Any]:
        """Return the step, its first state, its memory and the batch, as a search takes them."""

        def step(tokens: tf.Tensor, state: tf.Tensor, rows: tf.Tensor) -> tuple[Any, Any, Any]:
            count = tf.shape(tokens)[0]
            row = tf.range(count) // (count // tf.shape(rows)[0])
            logits = tf.gather_nd(rows, tf.stack([row, tokens], axis=1)) + 0.1 * state
            return logits, state + tf.one_hot(tokens, 7), tf.nn.softmax(state)

        return step, tf.zeros([tf.shape(rows)[0], 7]), rows, tf.shape(rows)[0]

    @tf.function(input_signature=[rows])
    def beam(self, rows: tf.Tensor) -> Hypotheses:
        return beam_search(*self.over(rows), self.options)

    @tf.function(input_signature=[rows])
    def greedy(self, rows: tf.Tensor) -> Hypotheses:
        return greedy(*self.over(rows), self.options)

    @tf.function(
        input_signature=[
            rows,
            tf.TensorSpec([], tf.int64),
            tf.TensorSpec([]),
            tf.TensorSpec([], tf.int32),
            tf.TensorSpec([]),
        ]
    )
    def sample(
        self, rows: tf.Tensor, seed: Any, temperature: Any, top_k: Any, top_p: Any
    ) -> Hypotheses:
        return sample(*self.over(rows), self.options, seed, temperature, top_k, top_p, samples=2)


def test_eager_graph_and_export_return_the_same(tmp_path: Path) -> None:
    module = Exported()
    tf.saved_model.save(module, str(tmp_path))
    loaded = tf.saved_model.load(str(tmp_path))
    sampled = (tf.constant(3, tf.int64), tf.constant(0.8), tf.constant(3), tf.constant(0.9))
    for batch in (1, 3):
        rows = tf.constant(np.random.default_rng(batch).normal(size=[batch, 7, 7]) * 2, tf.float32)
        over, options = module.over(rows), module.options
        for eager, traced, saved in (
            (beam_search(*over, options), module.beam(rows), loaded.beam(rows)),
            (greedy(*over, options), module.greedy(rows), loaded.greedy(rows)),
            (
                sample(*over, options, 3, 0.8, 3, 0.9, samples=2),
                module.sample(rows, *sampled),
                loaded.sample(rows, *sampled),
            ),
        ):
            assert_same(eager, traced)
            assert_same(traced, Hypotheses(*saved))
            assert eager.tokens.shape[0] == batch
    with pytest.raises(tf.errors.InvalidArgumentError, match="temperature must be"):
        loaded.sample(rows, sampled[0], tf.constant(0.0), *sampled[2:])


def test_the_graph_contains_stock_ops_only() -> None:
    module = Exported()
    for find in (module.beam, module.greedy, module.sample):
        graph = find.get_concrete_function().graph.as_graph_def()
        nodes = [*graph.node, *(node for f in graph.library.function for node in f.node_def)]
        ops = {node.op for node in nodes}
        assert all(hasattr(tf.raw_ops, op) for op in ops)
        assert not {op for op in ops if "PyFunc" in op or "GatherTree" in op}
