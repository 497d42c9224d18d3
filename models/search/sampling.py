"""Greedy search and sampling. See `models.search.hypotheses` for the step function."""

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
    finished_hypotheses,
    loop_shapes,
    new_attention_array,
    next_token_candidates,
    set_column,
)
from models.tokens import END, PAD, START

ALL_TOKENS = 2**31 - 1  # more than any vocabulary has


def greedy(
    step: Step, state: Any, memory: Any, batch: tf.Tensor | int, options: SearchOptions
) -> Hypotheses:
    """Return the sentence of the most likely next words (n = 1); ties go to the lower id."""

    def most_likely(time: tf.Tensor, log_probs: tf.Tensor) -> tf.Tensor:
        return tf.zeros_like(log_probs[:, :1], tf.int32)

    return _generate(step, state, memory, batch, options, most_likely, samples=1, choices=1)


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
    """Sample `samples` sentences per row, word by word, in sampling order.

    The probabilities of the allowed words are raised to 1 / temperature. The `top_k` most likely
    remain (0: all); of these, renormalized, the fewest that hold `top_p` of the probability
    (nucleus sampling: Holtzman et al. 2020, "The Curious Case of Neural Text Degeneration"). The
    returned log-probabilities are the model's own, whatever the temperature.

    Args:
        step: see `models.search.hypotheses`.
        state: nest of tensors [batch, ...].
        memory: nest of tensors [batch, ...].
        batch: number of rows.
        options: see `SearchOptions`.
        seed: integer, for the batch; or a tensor [batch], for each row, which then gives the same
            sentences in any batch.
        temperature: > 0, scalar or [batch].
        top_k: >= 0, scalar or [batch].
        top_p: in (0, 1], scalar or [batch].
        samples: sentences per row.

    Raises:
        ValueError: if a Python value is out of its range.
        tf.errors.InvalidArgumentError: if a tensor is out of its range, when the graph runs.
    """
    # Without limits the words need no order, and sorting them takes most of the time.
    unlimited = not tf.is_tensor(top_k) and not tf.is_tensor(top_p) and top_k == 0 and top_p == 1

    def per_sample(value: tf.Tensor) -> tf.Tensor:
        """Repeat a scalar or [batch] as [batch * samples, 1]."""
        return tf.repeat(tf.broadcast_to(value, [batch]), samples)[:, None]

    temperatures = per_sample(_check_range("temperature", temperature, tf.float32))
    top_ks = per_sample(_check_range("top_k", top_k, tf.int32))
    top_ps = per_sample(_check_range("top_p", top_p, tf.float32))
    draws = _uniform_draws(seed, batch, samples, options.history_length)

    def draw(time: tf.Tensor, log_probs: tf.Tensor) -> tf.Tensor:
        # Subtracting the maximum keeps a low temperature from making all of them -inf.
        logits = (log_probs - tf.reduce_max(log_probs, axis=1, keepdims=True)) / temperatures
        if not unlimited:
            logits = _limit_candidates(logits, top_ks, top_ps)
        cumulative = tf.cumsum(tf.nn.softmax(logits), axis=1)
        passed = tf.math.count_nonzero(
            cumulative <= draws[:, time, None] * cumulative[:, -1:],
            axis=1,
            keepdims=True,
            dtype=tf.int32,
        )
        return tf.minimum(passed, tf.shape(logits)[1] - 1)

    choices = None if unlimited else ALL_TOKENS
    return _generate(step, state, memory, batch, options, draw, samples, choices)


def _limit_candidates(logits: tf.Tensor, top_k: tf.Tensor, top_p: tf.Tensor) -> tf.Tensor:
    """Return logits [N, count], best first, with -inf outside top-k (0: all) and top-p, [N, 1]."""
    rank = tf.range(tf.shape(logits)[1])
    logits = tf.where((rank < top_k) | (top_k == 0), logits, -math.inf)
    before = tf.cumsum(tf.nn.softmax(logits), axis=1, exclusive=True)  # 0 for the first
    # A cumulative sum may round to 1 before the last word, so 1 means no limit.
    return tf.where((before < top_p) | (top_p >= 1), logits, -math.inf)


def _uniform_draws(
    seed: tf.Tensor | int, batch: tf.Tensor | int, samples: int, steps: int
) -> tf.Tensor:
    """Return a uniform random number in [0, 1) for each word, float32 [batch * samples, steps]."""
    seed = tf.cast(seed, tf.int64)
    if not seed.shape.rank:
        draws = tf.random.stateless_uniform([batch, samples, steps], tf.stack([seed, 0]))
    else:
        draws = tf.map_fn(
            lambda own: tf.random.stateless_uniform([samples, steps], tf.stack([own, 0])),
            tf.broadcast_to(seed, [batch]),
            fn_output_signature=tf.TensorSpec([samples, steps]),
        )
    return tf.reshape(draws, [-1, steps])


def _generate(
    step: Step,
    state: Any,
    memory: Any,
    batch: tf.Tensor | int,
    options: SearchOptions,
    choose: Callable[[tf.Tensor, tf.Tensor], tf.Tensor],
    samples: int,
    choices: int | None,
) -> Hypotheses:
    """Generate `samples` independent hypotheses per row.

    `choose(time, log_probs [N, choices])` returns int32 [N, 1], the next word: an index into the
    `choices` most likely words, best first; None means all V in the order of their ids.
    """
    count = batch * samples
    state = tf.nest.map_structure(lambda part: tf.repeat(part, samples, axis=0), state)
    tokens = set_column(tf.zeros([count, options.history_length], tf.int32), 0, START)

    def unfinished(time: tf.Tensor, tokens: tf.Tensor, done: tf.Tensor, *_: Any) -> tf.Tensor:
        return (time == 0) | ~tf.reduce_all(done)

    def body(
        time: tf.Tensor,
        tokens: tf.Tensor,
        done: tf.Tensor,
        sums: tf.Tensor,
        state: Any,
        attentions: Any,
    ) -> tuple[Any, ...]:
        logits, state, attention = step(tokens[:, time], state, memory)
        count = None if choices is None else min(choices, logits.shape[1])
        log_probs, ids = next_token_candidates(logits, tokens, time, options, count)
        column = choose(time, log_probs)
        chosen = tf.where(done, PAD, tf.gather(ids, column, batch_dims=1)[:, 0])
        sums += tf.where(done, 0.0, tf.gather(log_probs, column, batch_dims=1)[:, 0])
        tokens = set_column(tokens, time + 1, chosen[:, None])
        return (
            time + 1,
            tokens,
            done | (chosen == END),
            sums,
            state,
            attentions.write(time, attention),
        )

    each = tf.TensorShape([None])
    _, tokens, _, sums, _, attentions = tf.while_loop(
        unfinished,
        body,
        (0, tokens, tf.zeros([count], tf.bool), tf.zeros([count]), state, new_attention_array()),
        (tf.TensorShape([]), tokens.shape, each, each, loop_shapes(state), None),
    )
    rows = (tf.range(options.history_length) - 1) * count + tf.range(count)[:, None]
    rows = tf.where(tokens == PAD, 0, rows)  # there is no attention after the last step
    history = tf.reshape(
        tf.stack([tokens, rows], axis=1), [batch, samples, 2, options.history_length]
    )
    return finished_hypotheses(
        Paths(history, tf.reshape(sums, [batch, samples])), attentions, options
    )


_RANGES: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "temperature": ("> 0 and finite", lambda x: (x > 0) & (x < math.inf)),
    "top_k": ("whole and >= 0", lambda x: (x >= 0) & (x % 1 == 0)),
    "top_p": ("> 0 and <= 1", lambda x: (x > 0) & (x <= 1)),
}


def _check_range(name: str, value: Any, dtype: tf.DType) -> tf.Tensor:
    """Return a tensor; a Python value out of range raises now, a tensor when the graph runs."""
    rule, holds = _RANGES[name]
    if tf.is_tensor(value):
        valid = tf.debugging.Assert(
            tf.reduce_all(holds(value)), [f"{name} must be {rule}, not", value]
        )
        with tf.control_dependencies([valid]):
            return tf.identity(tf.cast(value, dtype))
    if isinstance(value, str) or not holds(value):
        raise ValueError(f"{name} must be {rule}, not {value!r}")
    return tf.constant(value, dtype)
