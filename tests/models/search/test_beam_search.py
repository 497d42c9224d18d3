"""Beam search against enumeration and a reference implementation, on enumerable models."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from models.search.beam_search import beam_search
from models.search.hypotheses import IMPOSSIBLE, Hypotheses, SearchOptions
from models.tokens import END, START
from tests.support.toy_search import Toy, any_options, any_toys, every, penalized, words

INF = math.inf
modest = settings(max_examples=25, deadline=None)


@modest
@given(any_toys, any_options)
def test_a_beam_wider_than_all_sentences_is_exhaustive_search(
    toy: Toy, kind: SearchOptions
) -> None:
    kind = dataclasses.replace(kind, max_words=min(kind.max_words, 3))
    listed = [toy.sentences(row, kind) for row in range(toy.batch)]
    paths = max(map(len, listed)) + 1
    found = toy.search(dataclasses.replace(kind, beams=paths, n_best=paths))
    for row, sentences in enumerate(listed):
        count = len(sentences)
        assert set(every(found, row)[:count]) == set(sentences)
        scores = [penalized(log, len(sentence), kind) for sentence, log in sentences.items()]
        np.testing.assert_allclose(
            found.scores[row, :count], sorted(scores, reverse=True), rtol=1e-5
        )
        assert np.all(np.isneginf(found.scores[row, count:]))


@modest
@given(st.integers(0, 10**6), any_options, st.integers(1, 4))
def test_a_narrow_beam_equals_the_reference_implementation(
    seed: int, options: SearchOptions, n_best: int
) -> None:
    toy = Toy.random(seed, size=9)  # more words than beams
    options = dataclasses.replace(options, n_best=min(n_best, options.beams))
    found = toy.search(options)
    for row in range(toy.batch):
        expected = toy.beam(row, options)
        scores = found.scores[row]
        np.testing.assert_allclose(scores[: len(expected)], [s for s, _ in expected], rtol=1e-4)
        assert np.all(np.isneginf(scores[len(expected) :]))


@settings(modest, max_examples=8)
@given(st.integers(0, 10**6), any_options)
def test_a_row_does_not_depend_on_its_batch(seed: int, options: SearchOptions) -> None:
    toy = Toy.random(seed, batch=3)
    together = toy.search(options)
    for row in range(toy.batch):
        alone = toy.row(row).search(options)
        assert every(alone) == every(together, row)
        np.testing.assert_allclose(alone.scores[0], together.scores[row], rtol=1e-6)


def test_a_beam_finds_what_greedy_misses() -> None:
    """Greedy search takes 0.6 and finds two poor endings; the better sentence starts with less.

          .6        .6
    START ──── 4 ──────── 6 ── END     .36
      │        │    .4
      │        └───────── 5 ── END     .24
      │   .4
      └─────── 5 ── END                .40
    """
    toy = Toy.chain({START: {4: 0.6, 5: 0.4}, 4: {5: 0.4, 6: 0.6}, 5: {END: 1.0}, 6: {END: 1.0}})
    assert every(toy.greedy(SearchOptions())) == [(4, 6)]
    found = toy.search(SearchOptions(beams=3, n_best=3))
    assert every(found) == [(5,), (4, 6), (4, 5)]
    np.testing.assert_allclose(tf.exp(found.log_probs), [[0.40, 0.36, 0.24]], rtol=1e-6)


def test_finished_sentences_do_not_change() -> None:
    """One row is finished after two words; the other has ten."""
    short = {START: {4: 0.9, END: 0.1}, 4: {END: 0.8, 5: 0.2}, 5: {END: 1.0}}
    long = {START: {4: 1.0}, 4: {5: 0.9, 6: 0.1}, 5: {4: 0.99, END: 0.01}, 6: {4: 1.0}}
    for alpha in (0.0, 1.0):
        options = SearchOptions(beams=2, n_best=2, max_words=10, length_penalty=alpha)
        alone, together = Toy.chain(short).search(options), Toy.chain(short, long).search(options)
        assert together.lengths[1, 0] > 5
        for name, one, both in zip(Hypotheses._fields, alone, together, strict=True):
            np.testing.assert_allclose(one[0], both[0], rtol=1e-6, err_msg=name)


def test_search_stops_when_nothing_can_improve() -> None:
    toy = Toy.chain({START: {4: 0.9, 5: 0.1}, 4: {END: 1.0}, 5: {4: 0.5, 5: 0.5}})
    toy.search(SearchOptions(beams=3))
    assert toy.calls == 2  # "4" has .9, and what lives has .1
    toy.search(SearchOptions(beams=3, n_best=2))
    assert toy.calls == 2 + 3  # "5 4" has .05, as much as what lives can still reach


def test_with_a_length_penalty_a_longer_sentence_can_outrank_a_finished_one() -> None:
    """Squared, log .6 / (5 / 6) ** 2 = -.74 falls behind log .4 / (8 / 6) ** 2 = -.52."""
    toy = Toy.chain({START: {END: 0.6, 4: 0.4}, 4: {5: 1.0}, 5: {6: 1.0}, 6: {END: 1.0}})
    for alpha, best in ((0.0, ()), (1.0, ()), (2.0, (4, 5, 6))):
        found = toy.search(SearchOptions(beams=3, length_penalty=alpha))
        assert every(found) == [best]
        # Its one place taken, a beam of one goes no further: it is the greedy search.
        assert every(toy.search(SearchOptions(beams=1, length_penalty=alpha))) == [()]


def test_if_no_sentence_ends_the_best_truncated_one_is_returned() -> None:
    toy = Toy.chain({START: {4: 0.7, 5: 0.3}, 4: {4: 0.2, 5: 0.8}, 5: {4: 0.6, 5: 0.4}})
    found = toy.search(SearchOptions(beams=8, n_best=3, max_words=3))
    probabilities = {(4, 5, 4): 0.336, (4, 5, 5): 0.224, (5, 4, 5): 0.144}
    assert every(found) == list(probabilities)
    expected = IMPOSSIBLE + np.log(list(probabilities.values()))
    np.testing.assert_allclose(found.log_probs[0], expected, rtol=1e-6)


def test_rows_with_too_few_sentences_are_padded_with_empty_ones() -> None:
    found = Toy.chain({START: {4: 1.0}, 4: {END: 1.0}}).search(SearchOptions(n_best=3))
    assert every(found) == [(4,), (), ()]
    np.testing.assert_array_equal(found.scores, [[0.0, -INF, -INF]])
    assert not np.any(found.tokens[0, 1:]) and not np.any(found.attention[0, 1:])


def test_a_hypothesis_with_nan_ranks_after_the_others() -> None:
    logits = Toy.random(1, batch=2).logits
    logits[0, :, 4] = np.nan  # whatever follows the word 4
    logits[1, :, START, 5] = np.nan
    found = Toy(logits).search(SearchOptions(max_words=3, beams=40, n_best=40))
    assert np.isfinite(found.scores[0]).sum() == 7
    sound, broken = every(found, 0)[:4], every(found, 0)[4:7]
    assert set(sound) == {(), (5,), (5, 5), (5, 5, 5)}
    assert set(broken) == {(4,), (5, 4), (5, 5, 4)}
    assert words(found, 1) == () and found.log_probs[1, 0] == IMPOSSIBLE


def test_poor_early_endings_do_not_displace_the_most_likely_sentence() -> None:
    """Two endings fill a pool of two at once, before ".98" ends."""
    toy = Toy.chain(
        {START: {4: 0.98, END: 0.02}, 4: {5: 0.98, END: 0.02}, 5: {6: 1.0}, 6: {END: 1.0}}
    )
    assert every(toy.search(SearchOptions(beams=2))) == [(4, 5, 6)]


def test_finished_rows_leave_the_batch() -> None:
    """One row has ten words; the others are finished after one."""
    short = {START: {4: 1.0}, 4: {END: 1.0}}
    toy = Toy.chain(short, {START: {4: 1.0}, 4: {4: 0.9, END: 0.1}}, short, short)
    rows = []

    def step(tokens: tf.Tensor, state: Any, memory: tf.Tensor) -> Any:
        rows.append(memory.numpy().tolist())
        return toy.step(tokens, state, memory)

    options = SearchOptions(beams=1, max_words=10)
    found = beam_search(step, *toy.given[1:], toy.batch, options)
    assert rows == [[0, 1, 2, 3]] * 2 + [[1]] * (len(rows) - 2) and len(rows) > 8
    assert found.lengths[:, 0].numpy().tolist() == [1, len(rows) - 1, 1, 1]
