"""Beam search: the best sentences of a step function, n per row. See `models.search`.

Kept at each step are the `beams` likeliest continuations that go on. A continuation that ends goes
to the row's pool of finished sentences if it is among the `beams` likeliest of all; the pool ranks
by penalised score. A row is done when nothing under way can still reach the `n_best`: log P only
falls, so log P / penalty(max_words) bounds every score to come. Once `beams` sentences have ended,
the penalty of the sentences that end now is bound enough: most rows would otherwise go on to
`max_words` for nothing. (A full pool alone would not do: it may hold poor early endings while the
likeliest sentence goes on.) With one beam this is the greedy search. A row that is done has no live
hypothesis any more, so nothing in it can change; the loop ends when all are done. A few sentences
are much longer than the others: whenever a quarter of the rows under way are done, they are put
aside, and the steps to come are cheaper by as much.
"""

from __future__ import annotations

import math
from typing import Any

import tensorflow as tf

from models.search import (
    END,
    START,
    Hypotheses,
    Paths,
    SearchOptions,
    Step,
    attention_log,
    candidates,
    count_words,
    hypotheses,
    state_shapes,
    write,
)


def beam_search(
    step: Step, state: Any, memory: Any, batch: tf.Tensor | int, options: SearchOptions
) -> Hypotheses:
    """Return the `n_best` sentences per row, the best score first.

    With at least as many beams as there are sentences this is exhaustive search.

    Args:
        step: see `models.search`.
        state: nest of tensors [batch, ...]; the search repeats and reorders it.
        memory: nest of tensors [batch, ...]; the search leaves out what is done.
        batch: rows, an int or an int32 scalar.
        options: see `SearchOptions`.
    """

    def unfinished(time: tf.Tensor, live: Paths, *_: Any) -> tf.Tensor:
        return (time == 0) | tf.reduce_any(live.log_probs > -math.inf)

    def body(
        time: tf.Tensor,
        live: Paths,
        pool: Paths,
        state: Any,
        memory: Any,
        rows: tf.Tensor,
        aside: Paths,
        seen: Any,
        offset: tf.Tensor,
    ) -> tuple[Any, ...]:
        tokens = tf.reshape(live.tokens, [-1, options.columns])
        logits, state, attention = step(tokens[:, time], state, memory)
        count = min(options.beams + 1, logits.shape[1])  # END and as many words as may go on
        found = candidates(logits, tokens, time, options, count)
        grown = _grow(live, *found, time, offset, options.beams)
        pool = _collect(pool, grown, time, options)
        live = _go_on(pool, grown, time, options)
        parents = tf.reshape(live.rows[:, :, time + 1], [-1]) - offset
        offset += tf.shape(tokens)[0]
        under_way = _without_done(live, pool, parents, memory, rows, aside)
        live, pool, parents, memory, rows, aside = under_way
        state = tf.nest.map_structure(lambda part: tf.gather(part, parents), state)
        seen = seen.write(time, attention)
        return time + 1, live, pool, state, memory, rows, aside, seen, offset

    # The beam opens at one hypothesis and widens as there are words to go on with.
    live, pool = _start(batch, 1, 0.0, options), _start(batch, options.beams, -math.inf, options)
    history = tf.TensorShape([None, None, options.columns])
    shapes = Paths(history, history, tf.TensorShape([None, None]))
    pool_shapes = tf.nest.map_structure(
        lambda shape: tf.TensorShape([None, options.beams, *shape[2:]]), shapes
    )
    scalar, each = tf.TensorShape([]), tf.TensorShape([None])
    _, _, pool, _, _, rows, aside, seen, _ = tf.while_loop(
        unfinished,
        body,
        (0, live, pool, state, memory, tf.range(batch), pool, attention_log(), 0),
        (
            scalar,
            shapes,
            pool_shapes,
            state_shapes(state),
            state_shapes(memory),
            each,
            pool_shapes,
            None,
            scalar,
        ),
    )
    pool = _put(aside, rows, pool)
    return hypotheses(Paths(*(part[:, : options.n_best] for part in pool)), seen, options)


def _without_done(
    live: Paths, pool: Paths, parents: tf.Tensor, memory: Any, rows: tf.Tensor, aside: Paths
) -> tuple[Any, ...]:
    """Return all that is given; when a quarter of the rows are done, without them.

    `rows` [k] says which rows of the batch are under way, `parents` [k * beams] which hypotheses
    these go on from. What was found for the others is then in `aside` [batch, beams, ...].
    """
    going = tf.reduce_any(live.log_probs > -math.inf, axis=1)
    count = tf.math.count_nonzero(going, dtype=tf.int32)

    def leave_out() -> tuple[Any, ...]:
        kept = tf.where(going)[:, 0]
        of_rows = tf.reshape(parents, tf.shape(live.log_probs))
        parts = (live, pool, of_rows, memory, rows)
        few = tf.nest.map_structure(lambda part: tf.gather(part, kept), parts)
        return few[0], few[1], tf.reshape(few[2], [-1]), few[3], few[4], _put(aside, rows, pool)

    return tf.cond(
        (count > 0) & (4 * count <= 3 * tf.size(going)),
        leave_out,
        lambda: (live, pool, parents, memory, rows, aside),
    )


def _put(aside: Paths, rows: tf.Tensor, pool: Paths) -> Paths:
    """Return `aside` with what was found for `rows` of the batch."""
    pairs = zip(aside, pool, strict=True)
    return Paths(*(tf.tensor_scatter_nd_update(old, rows[:, None], new) for old, new in pairs))


def _start(batch: tf.Tensor | int, width: int, log_prob: float, options: SearchOptions) -> Paths:
    """Return `width` hypotheses per row that hold START alone."""
    blank = tf.zeros([batch, width, options.columns], tf.int32)
    return Paths(write(blank, 0, START), blank, tf.fill([batch, width], log_prob))


def _grow(
    live: Paths,
    log_probs: tf.Tensor,
    ids: tf.Tensor,
    time: tf.Tensor,
    offset: tf.Tensor,
    beams: int,
) -> Paths:
    """Return the likeliest continuations of `live` [batch, k], best first.

    `log_probs` and `ids` [batch * k, count] are the best next tokens of each. At most k <= beams of
    them are END, so twice `beams` hold all that the pool and the next beam may take.
    """
    batch, width = tf.unstack(tf.shape(live.log_probs))
    count = ids.shape[1]
    totals = live.log_probs[:, :, None] + tf.reshape(log_probs, [batch, width, count])
    flat = [batch, width * count]
    totals, chosen = tf.math.top_k(tf.reshape(totals, flat), tf.minimum(2 * beams, width * count))
    words = tf.gather(tf.reshape(ids, flat), chosen, batch_dims=1)
    parents = chosen // count
    rows = offset + tf.range(batch)[:, None] * width + parents
    grown = _take(live, parents)
    return Paths(
        write(grown.tokens, time + 1, words[:, :, None]),
        write(grown.rows, time + 1, rows[:, :, None]),
        totals,
    )


def _collect(pool: Paths, grown: Paths, time: tf.Tensor, options: SearchOptions) -> Paths:
    """Return the best of the pool and of what ended among the likeliest; the best score first."""
    likeliest = Paths(*(part[:, : options.beams] for part in grown))
    ended = likeliest.tokens[:, :, time + 1] == END
    likeliest = likeliest._replace(log_probs=tf.where(ended, likeliest.log_probs, -math.inf))
    both = Paths(*(tf.concat(parts, axis=1) for parts in zip(pool, likeliest, strict=True)))
    return _take(both, tf.math.top_k(_scores(both, options), options.beams).indices)


def _go_on(pool: Paths, grown: Paths, time: tf.Tensor, options: SearchOptions) -> Paths:
    """Return the likeliest that did not end; where a row is done, they are dead (-inf)."""
    ended = grown.tokens[:, :, time + 1] == END
    log_probs, kept = tf.math.top_k(
        tf.where(ended, -math.inf, grown.log_probs),
        tf.minimum(options.beams, tf.shape(ended)[1]),
    )
    full = pool.log_probs[:, -1] > -math.inf
    within_reach = options.score(log_probs[:, 0], tf.where(full, time, options.max_words))
    done = _scores(pool, options)[:, options.n_best - 1] >= within_reach
    return _take(grown, kept)._replace(log_probs=tf.where(done[:, None], -math.inf, log_probs))


def _scores(paths: Paths, options: SearchOptions) -> tf.Tensor:
    return options.score(paths.log_probs, count_words(paths.tokens))


def _take(paths: Paths, indices: tf.Tensor) -> Paths:
    """Return the hypotheses at `indices` [batch, k]."""
    return Paths(*(tf.gather(part, indices, batch_dims=1) for part in paths))
