"""A model small enough to enumerate, for the tests of search.

`Toy` is a table of logits: the next word depends on the row and the last two words only, so plain
Python can list every sentence with its probability. Its attention is the whole prefix encoded as
one number, so correct attention proves that the states were reordered with their beams.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf
from hypothesis import strategies as st

from models.search.beam_search import beam_search
from models.search.hypotheses import IMPOSSIBLE, Hypotheses, SearchOptions
from models.search.sampling import greedy, sample
from models.tokens import END, PAD, START, UNKNOWN

INF = math.inf
MODULUS = 9973  # keeps the encoded prefix exact in float32


class Toy:
    """Logits [batch, V, V, V]: of the next word, by row, by the word before last and the last."""

    def __init__(self, logits: Any) -> None:
        self.logits = np.asarray(logits, np.float32)
        self.batch, self.size = self.logits.shape[:2]
        self.table = tf.constant(self.logits)
        self.calls = 0

    @classmethod
    def random(cls, seed: int, batch: int = 2, size: int = 6, holes: float = 0.0) -> Toy:
        draw = np.random.default_rng(seed)
        logits = draw.normal(scale=2.0, size=(batch, size, size, size))
        return cls(np.where(draw.random(logits.shape) < holes, -INF, logits))

    @classmethod
    def chain(cls, *rows: dict[int, dict[int, float]], size: int = 7) -> Toy:
        """Create from {last word: {next word: probability}} for each row; other words have 0."""
        logits = np.full((len(rows), size, size, size), -INF)
        for row, following in enumerate(rows):
            for last, probabilities in following.items():
                for word, probability in probabilities.items():
                    logits[row, :, last, word] = math.log(probability)
        return cls(logits)

    def row(self, index: int) -> Toy:
        return Toy(self.logits[index : index + 1])

    def start(self) -> Any:
        return {"last": tf.zeros([self.batch], tf.int32), "prefix": tf.zeros([self.batch, 1])}

    @property
    def given(self) -> tuple[Any, Any, tf.Tensor]:
        """Return the step, its initial state and its memory, the row numbers."""
        return self.step, self.start(), tf.range(self.batch)

    def step(
        self, tokens: tf.Tensor, state: Any, memory: tf.Tensor
    ) -> tuple[tf.Tensor, Any, tf.Tensor]:
        self.calls += 1
        rows = tf.repeat(memory, tf.shape(tokens)[0] // tf.maximum(tf.size(memory), 1))
        logits = tf.gather_nd(self.table, tf.stack([rows, state["last"], tokens], axis=1))
        prefix = (state["prefix"] * 32 + tf.cast(tokens[:, None], tf.float32)) % MODULUS
        attention = tf.concat([prefix, tf.cast(rows[:, None], tf.float32)], axis=1)
        return logits, {"last": tokens, "prefix": prefix}, attention

    def search(self, options: SearchOptions) -> Hypotheses:
        return checked(self, beam_search(*self.given, self.batch, options), options)

    def greedy(self, options: SearchOptions) -> Hypotheses:
        return checked(self, greedy(*self.given, self.batch, options), options)

    def sample(self, options: SearchOptions, seed: int, **how: Any) -> Hypotheses:
        found = sample(*self.given, self.batch, options, seed, **how)
        return checked(self, found, options)

    def next(self, row: int, words: tuple[int, ...], options: SearchOptions) -> dict[int, float]:
        """Return {next token: log-probability} of the allowed tokens."""
        before = (PAD, START, *words)
        logits = self.logits[row, before[-2], before[-1]].astype(float)
        if np.isnan(logits).any() or (logits == -INF).all():
            return {END: IMPOSSIBLE}
        logs = logits - np.logaddexp.reduce(logits)
        allowed = {
            word: logs[word]
            for word in range(END, self.size)
            if logs[word] > -INF and self.is_allowed(words, word, options)
        }
        return allowed or {END: logs[END] if logs[END] > -INF else IMPOSSIBLE}

    @staticmethod
    def is_allowed(words: tuple[int, ...], word: int, options: SearchOptions) -> bool:
        if word == END:
            return len(words) >= options.min_words
        size, longer = options.no_repeat_ngram_size, (*words, word)
        grams = [longer[i : i + size] for i in range(len(longer) - size + 1)]
        return (
            len(words) < options.max_words
            and not (word == UNKNOWN and options.suppress_unknown)
            and not (size and grams and grams[-1] in grams[:-1])
        )

    def sentences(self, row: int, options: SearchOptions) -> dict[tuple[int, ...], float]:
        """Return {words: log-probability} of every possible sentence."""

        def grow(words: tuple[int, ...], log_prob: float) -> Iterator[tuple[Any, float]]:
            for word, log in self.next(row, words, options).items():
                if word == END:
                    yield words, log_prob + log
                else:
                    yield from grow((*words, word), log_prob + log)

        return dict(grow((), 0.0))

    def beam(self, row: int, options: SearchOptions) -> list[tuple[float, tuple[int, ...]]]:
        """Return what beam search should find, computed with lists: [(score, words)]."""
        live: list[tuple[float, tuple[int, ...]]] = [(0.0, ())]
        pool: list[tuple[float, tuple[int, ...]]] = []
        while live:
            grown = [
                (log_prob + log, (*words, word))
                for log_prob, words in live
                for word, log in self.next(row, words, options).items()
            ]
            grown.sort(key=lambda path: -path[0])
            for log_prob, words in grown[: options.beams]:
                if words[-1] == END:
                    pool.append((penalized(log_prob, len(words) - 1, options), words[:-1]))
            live = [path for path in grown if path[1][-1] != END][: options.beams]
            pool = sorted(pool, reverse=True)[: options.beams]
            if live and len(pool) >= options.n_best:
                full = len(pool) == options.beams
                length = len(live[0][1]) - 1 if full else options.max_words
                if pool[options.n_best - 1][0] >= penalized(live[0][0], length, options):
                    break
        return pool[: options.n_best]


def penalized(log_prob: float, words: int, options: SearchOptions) -> float:
    return log_prob / ((5 + words) / 6) ** options.length_penalty


def every(found: Hypotheses, row: int = 0) -> list[tuple[int, ...]]:
    return [words(found, row, index) for index in range(found.lengths.shape[1])]


def words(found: Hypotheses, row: int, index: int = 0) -> tuple[int, ...]:
    return tuple(found.tokens[row, index, : found.lengths[row, index]].tolist())


def checked(toy: Toy, found: Hypotheses, options: SearchOptions) -> Hypotheses:
    """Return `found` as arrays; assert the invariants of any search."""
    found = Hypotheses(*(part.numpy() for part in found))
    assert found.tokens.shape[2] == options.max_words + 1
    assert found.attention.shape == (*found.tokens.shape, 2)
    assert found.tokens.dtype == found.lengths.dtype == np.int32
    for row, index in np.ndindex(*found.lengths.shape):
        sentence, log_prob = words(found, row, index), found.log_probs[row, index]
        tokens = found.tokens[row, index].tolist()
        if log_prob == -INF:
            assert not any(tokens) and found.scores[row, index] == -INF
            continue
        assert tokens == [*sentence, END, *[PAD] * (options.max_words - len(sentence))]
        seen = np.zeros_like(found.attention[row, index])
        prefix = 0
        for time, word in enumerate((START, *sentence)):
            prefix = (prefix * 32 + word) % MODULUS
            seen[time] = prefix, row
        np.testing.assert_array_equal(found.attention[row, index], seen)
        steps = [toy.next(row, sentence[:t], options)[w] for t, w in enumerate((*sentence, END))]
        assert math.isclose(log_prob, sum(steps), rel_tol=1e-5, abs_tol=1e-5)
        score = penalized(sum(steps), len(sentence), options)
        assert math.isclose(found.scores[row, index], score, rel_tol=1e-5, abs_tol=1e-5)
    return found


any_options = st.builds(
    SearchOptions,
    beams=st.integers(1, 4),
    max_words=st.integers(2, 4),
    min_words=st.integers(0, 2),
    length_penalty=st.sampled_from([0.0, 0.6, 1.0, 2.5]),
    no_repeat_ngram_size=st.integers(0, 3),
    suppress_unknown=st.booleans(),
)
any_toys = st.builds(Toy.random, st.integers(0, 10**6), holes=st.sampled_from([0.0, 0.4]))
