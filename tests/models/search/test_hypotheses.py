"""Search options and allowed tokens, shared by all searches."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from data.media import vocabulary
from models import tokens
from models.search.hypotheses import SearchOptions
from models.tokens import END, START, UNKNOWN
from tests.support.toy_search import Toy, every, words

modest = settings(max_examples=15, deadline=None)


def test_special_ids_equal_those_of_the_vocabulary() -> None:
    for name in ("PAD", "START", "END", "UNKNOWN"):
        assert getattr(tokens, name) == getattr(vocabulary, name)


@settings(modest, max_examples=8)
@given(st.integers(0, 10**6), st.integers(1, 3), st.integers(1, 3))
def test_no_ngram_is_repeated_in_long_sentences(seed: int, size: int, beams: int) -> None:
    options = SearchOptions(beams=beams, max_words=12, min_words=8, no_repeat_ngram_size=size)
    found = Toy.random(seed, size=12).search(options)
    for row in range(2):
        sentence = words(found, row)
        grams = [sentence[start : start + size] for start in range(len(sentence) - size + 1)]
        assert len(set(grams)) == len(grams)


def test_end_is_chosen_if_no_token_is_allowed() -> None:
    """At least four words of a vocabulary of two without repetition: no such sentence exists."""
    options = SearchOptions(min_words=4, no_repeat_ngram_size=1)
    toy = Toy.random(0)
    for found in (toy.greedy(options), toy.search(options), toy.sample(options, seed=1)):
        assert sorted(words(found, 0)) == [4, 5]
        assert np.all(np.isfinite(found.scores[:, 0]))


def test_the_unknown_word_is_chosen_only_if_allowed() -> None:
    toy = Toy.chain({START: {UNKNOWN: 0.9, 4: 0.1}, UNKNOWN: {END: 1.0}, 4: {END: 1.0}})
    for find in (toy.greedy, toy.search):
        assert every(find(SearchOptions())) == [(4,)]
        assert every(find(SearchOptions(suppress_unknown=False))) == [(UNKNOWN,)]
    np.testing.assert_allclose(toy.greedy(SearchOptions()).log_probs, math.log(0.1), rtol=1e-6)
