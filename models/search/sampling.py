"""Greedy and sampled search over a step function; the contract is in `models.search.hypotheses`."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from models.search.hypotheses import (
    Hypotheses,
    Paths,
    SearchOptions,
    Step,
    attention_log,
    candidates,
    check_whole,
    hypotheses,
    state_shapes,
    write,
)
from models.tokens import END, PAD, START

ALL = 2**31 - 1  # words, however many there are


def greedy(
    step: Step, state: Any, memory: Any, batch: tf.Tensor | int, options: SearchOptions
) -> Hypotheses:
    """Return the sentence of the likeliest next words (n = 1); ties go to the lower id.

    `state` and `memory` have leading dimension batch. `beam_search` with one beam finds the same.
    """

    def likeliest(time: tf.Tensor, log_probs: tf.Tensor) -> tf.Tensor:
        return tf.zeros_like(log_probs[:, :1], tf.int32)

    return _follow(step, state, memory, batch, options, likeliest, samples=1, choices=1)


def sample(
    step: Step,
    state: Any,
    memory: Any,
    batch: tf.Tensor | int,
    options: SearchOptions,
    seed: tf.Tensor | int,
    temperature: tf.Tensor | float = 1.0,
    top_k: tf.Tensor | int = 0,
    top_p: tf.Tensor | float = 1.0,
    samples: int = 1,
) -> Hypotheses:
    """Draw `samples` sentences per row, word by word; they stand in the order drawn.

    The probabilities of the words that the options admit are raised to 1 / temperature. The `top_k`
    likeliest remain (0: all); of these, renormalised, the fewest that hold `top_p` of the
    probability (Holtzman et al. 2020, "The Curious Case of Neural Text Degeneration"). One is
    drawn. The log-probabilities returned are the model's own, whatever the temperature.

    Args:
        step: see `models.search.hypotheses`.
        state: nest of tensors [batch, ...].
        memory: another.
        batch: rows, an int or an int32 scalar.
        options: see `SearchOptions`.
        seed: whole number. A scalar is the batch's: the same on the same batch draws the same
            sentences. Of a tensor [batch] each is its row's, which then draws the same sentences
            in whatever batch it stands.
        temperature: > 0, scalar or [batch]; 1 leaves the probabilities as they are.
        top_k: >= 0, scalar or [batch].
        top_p: in (0, 1], scalar or [batch].
        samples: sentences per row; a Python int.

    Raises:
        ValueError: for a Python value out of its range.
        tf.errors.InvalidArgumentError: for a tensor out of its range, when the graph runs.
    """
    check_whole("samples", samples, 1)
    # Without limits no order of the words is needed, and sorting them takes most of the time.
    free = not tf.is_tensor(top_k) and not tf.is_tensor(top_p) and top_k == 0 and top_p == 1

    def each(value: tf.Tensor) -> tf.Tensor:
        """Return [batch * samples, 1]."""
        return tf.repeat(tf.broadcast_to(value, [batch]), samples)[:, None]

    heat = each(
        _within(
            "temperature",
            temperature,
            tf.float32,
            "> 0 and finite",
            lambda x: (x > 0) & (x < math.inf),
        )
    )
    limit = each(
        _within("top_k", top_k, tf.int32, "whole and >= 0", lambda x: (x >= 0) & (x % 1 == 0))
    )
    mass = each(_within("top_p", top_p, tf.float32, "> 0 and <= 1", lambda x: (x > 0) & (x <= 1)))
    chance = tf.reshape(_chance(seed, batch, samples, options.columns), [-1, options.columns])

    def limited(logits: tf.Tensor) -> tf.Tensor:
        rank = tf.range(tf.shape(logits)[1])
        logits = tf.where((rank < limit) | (limit == 0), logits, -math.inf)
        before = tf.cumsum(tf.nn.softmax(logits), axis=1, exclusive=True)  # 0 for the first
        # A sum rounds to 1 before the last word is in it, so 1 is no limit of its own.
        return tf.where((before < mass) | (mass >= 1), logits, -math.inf)

    def draw(time: tf.Tensor, log_probs: tf.Tensor) -> tf.Tensor:
        # At most 0: no temperature makes all of them -inf.
        logits = (log_probs - tf.reduce_max(log_probs, axis=1, keepdims=True)) / heat
        share = tf.nn.softmax(logits if free else limited(logits))
        up_to = tf.cumsum(share, axis=1)
        passed = tf.math.count_nonzero(
            up_to <= chance[:, time, None] * up_to[:, -1:], axis=1, keepdims=True, dtype=tf.int32
        )
        return tf.minimum(passed, tf.shape(share)[1] - 1)

    return _follow(step, state, memory, batch, options, draw, samples, None if free else ALL)


def _chance(seed: tf.Tensor | int, batch: tf.Tensor | int, samples: int, steps: int) -> tf.Tensor:
    """Return float32 [batch, samples, steps] in [0, 1): what decides each draw."""
    seed = tf.cast(seed, tf.int64)
    if not seed.shape.rank:
        return tf.random.stateless_uniform([batch, samples, steps], tf.stack([seed, 0]))
    return tf.map_fn(
        lambda own: tf.random.stateless_uniform([samples, steps], tf.stack([own, 0])),
        tf.broadcast_to(seed, [batch]),
        fn_output_signature=tf.TensorSpec([samples, steps]),
    )


def _follow(
    step: Step,
    state: Any,
    memory: Any,
    batch: tf.Tensor | int,
    options: SearchOptions,
    choose: Callable[[tf.Tensor, tf.Tensor], tf.Tensor],
    samples: int,
    choices: int | None,
) -> Hypotheses:
    """Grow `samples` independent hypotheses per row by what `choose` picks.

    `choose(time, log_probs [N, choices])` returns int32 [N, 1], a column of the likeliest words,
    best first; None offers all V in the order of their ids.
    """
    count = batch * samples
    state = tf.nest.map_structure(lambda part: tf.repeat(part, samples, axis=0), state)
    tokens = write(tf.zeros([count, options.columns], tf.int32), 0, START)

    def unfinished(time: tf.Tensor, tokens: tf.Tensor, done: tf.Tensor, *_: Any) -> tf.Tensor:
        return (time == 0) | ~tf.reduce_all(done)

    def body(
        time: tf.Tensor, tokens: tf.Tensor, done: tf.Tensor, sums: tf.Tensor, state: Any, seen: Any
    ) -> tuple[Any, ...]:
        logits, state, attention = step(tokens[:, time], state, memory)
        count = None if choices is None else min(choices, logits.shape[1])
        log_probs, ids = candidates(logits, tokens, time, options, count)
        column = choose(time, log_probs)
        chosen = tf.where(done, PAD, tf.gather(ids, column, batch_dims=1)[:, 0])
        sums += tf.where(done, 0.0, tf.gather(log_probs, column, batch_dims=1)[:, 0])
        tokens = write(tokens, time + 1, chosen[:, None])
        return time + 1, tokens, done | (chosen == END), sums, state, seen.write(time, attention)

    each = tf.TensorShape([None])
    _, tokens, _, sums, _, seen = tf.while_loop(
        unfinished,
        body,
        (0, tokens, tf.zeros([count], tf.bool), tf.zeros([count]), state, attention_log()),
        (tf.TensorShape([]), tokens.shape, each, each, state_shapes(state), None),
    )
    rows = (tf.range(options.columns) - 1) * count + tf.range(count)[:, None]
    rows = tf.where(tokens == PAD, 0, rows)  # steps past the last were not taken
    history = tf.reshape(tf.stack([tokens, rows], axis=1), [batch, samples, 2, options.columns])
    return hypotheses(Paths(history, tf.reshape(sums, [batch, samples])), seen, options)


def _within(
    name: str, value: Any, dtype: tf.DType, rule: str, holds: Callable[[Any], Any]
) -> tf.Tensor:
    """Return a tensor; refuse what breaks the rule: Python's now, a tensor's in the run."""
    if tf.is_tensor(value):
        held = tf.reduce_all(holds(value))
        kept = tf.debugging.Assert(held, [f"{name} must be {rule}, not", value])
        with tf.control_dependencies([kept]):
            return tf.identity(tf.cast(value, dtype))
    if isinstance(value, str) or not holds(value):
        raise ValueError(f"{name} must be {rule}, not {value!r}")
    return tf.constant(value, dtype)
