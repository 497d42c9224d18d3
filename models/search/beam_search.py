"""Beam search: the best sentences of a step function, n per row. See `models.search.hypotheses`.

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
from typing import Any, NamedTuple

import tensorflow as tf

from models.search.hypotheses import (
    Hypotheses,
    Paths,
    SearchOptions,
    Step,
    attention_log,
    candidates,
    hypotheses,
    state_shapes,
    write,
)
from models.tokens import END, START


class Pool(NamedTuple):
    """The best sentences that have ended, `beams` a row, the best score first.

    Attributes:
        paths: the sentences.
        scores: float32 [batch, beams]; -inf where there is none.
    """

    paths: Paths
    scores: tf.Tensor


class Search(NamedTuple):
    """What changes at every step.

    Attributes:
        time: int32 scalar, the number of words so far.
        live: sentences under way, best first.
        pool: those that have ended.
        state: of `live`, a nest of tensors [batch * k, ...].
        seen: the attention of each step.
        offset: int32 scalar, rows of attention so far.
    """

    time: tf.Tensor
    live: Paths
    pool: Pool
    state: Any
    seen: tf.TensorArray
    offset: tf.Tensor


def beam_search(
    step: Step, state: Any, memory: Any, batch: tf.Tensor | int, options: SearchOptions
) -> Hypotheses:
    """Return the `n_best` sentences per row, the best score first.

    With at least as many beams as there are sentences this is exhaustive search.

    Args:
        step: see `models.search.hypotheses`.
        state: nest of tensors [batch, ...]; the search repeats and reorders it.
        memory: nest of tensors [batch, ...]; the search leaves out what is done.
        batch: rows, an int or an int32 scalar.
        options: see `SearchOptions`.
    """

    def unfinished(search: Search, *_: Any) -> tf.Tensor:
        return (search.time == 0) | tf.reduce_any(_going(search.live))

    def body(search: Search, memory: Any, rows: tf.Tensor, aside: Pool) -> tuple[Any, ...]:
        search = _until_fewer(step, search, memory, shapes, options)
        aside = _put(aside, rows, search.pool)
        kept = tf.where(_going(search.live))[:, 0]
        return _left(search, kept), _rows(memory, kept), tf.gather(rows, kept), aside

    # The beam opens at one hypothesis and widens as there are words to go on with.
    live, blank = _start(batch, 1, 0.0, options), _start(batch, options.beams, -math.inf, options)
    pool = Pool(blank, blank.log_probs)
    search = Search(0, live, pool, state, attention_log(), 0)
    shapes = _shapes(search, options)
    search, _, _, pool = tf.while_loop(
        unfinished,
        body,
        (search, memory, tf.range(batch), pool),
        (shapes, state_shapes(memory), tf.TensorShape([None]), shapes.pool),
    )
    best = Paths(*(part[:, : options.n_best] for part in pool.paths))
    return hypotheses(best, search.seen, options)


def _until_fewer(
    step: Step, search: Search, memory: Any, shapes: Search, options: SearchOptions
) -> Search:
    """Search until a quarter of the rows are done, at least one step."""

    def go_on(time: tf.Tensor, live: Paths, *_: Any) -> tf.Tensor:
        going = tf.math.count_nonzero(_going(live), dtype=tf.int32)
        return (time == 0) | (4 * going > 3 * tf.shape(live.log_probs)[0])

    def body(*parts: Any) -> Search:
        time, live, pool, state, seen, offset = parts
        tokens = tf.reshape(live.tokens, [-1, options.columns])
        logits, state, attention = step(tokens[:, time], state, memory)
        count = min(options.beams + 1, logits.shape[1])  # END and as many words as may go on
        found = candidates(logits, tokens, time, options, count)
        grown, ended = _grow(live, *found, time, offset, options.beams)
        pool = _collect(pool, grown, ended, time, options)
        live = _go_on(pool, grown, ended, time, options)
        parents = tf.reshape(live.history[:, :, 1, time + 1], [-1]) - offset
        seen = seen.write(time, attention)
        offset += tf.shape(tokens)[0]
        return Search(time + 1, live, pool, _rows(state, parents), seen, offset)

    return Search(*tf.while_loop(go_on, body, search, shapes))


def _left(search: Search, kept: tf.Tensor) -> Search:
    """Return what is under way in those rows of the batch alone."""
    hypotheses = tf.range(tf.size(search.live.log_probs))
    hypotheses = tf.gather(tf.reshape(hypotheses, tf.shape(search.live.log_probs)), kept)
    return search._replace(
        live=_rows(search.live, kept),
        pool=_rows(search.pool, kept),
        state=_rows(search.state, tf.reshape(hypotheses, [-1])),
    )


def _going(live: Paths) -> tf.Tensor:
    """Return which rows are not done: bool [batch]."""
    return tf.reduce_any(live.log_probs > -math.inf, axis=1)


def _rows(nest: Any, rows: tf.Tensor) -> Any:
    return tf.nest.map_structure(lambda part: tf.gather(part, rows), nest)


def _put(aside: Pool, rows: tf.Tensor, pool: Pool) -> Pool:
    """Return `aside` with what was found for `rows` of the batch."""
    return tf.nest.map_structure(
        lambda old, new: tf.tensor_scatter_nd_update(old, rows[:, None], new), aside, pool
    )


def _start(batch: tf.Tensor | int, width: int, log_prob: float, options: SearchOptions) -> Paths:
    """Return `width` hypotheses per row that hold START alone."""
    blank = tf.zeros([batch, width, 2, options.columns], tf.int32)
    return Paths(write(blank, 0, [[START], [0]]), tf.fill([batch, width], log_prob))


def _shapes(search: Search, options: SearchOptions) -> Search:
    """Return the loops' shape invariants: rows may become fewer, and the beam may widen."""

    def paths(width: int | None) -> Paths:
        history = tf.TensorShape([None, width, 2, options.columns])
        return Paths(history, history[:2])

    pool = paths(options.beams)
    scalar = tf.TensorShape([])
    states = state_shapes(search.state)
    return Search(scalar, paths(None), Pool(pool, pool.log_probs), states, None, scalar)


def _grow(
    live: Paths,
    log_probs: tf.Tensor,
    ids: tf.Tensor,
    time: tf.Tensor,
    offset: tf.Tensor,
    beams: int,
) -> tuple[Paths, tf.Tensor]:
    """Return the likeliest continuations of `live` [batch, k], best first, and which of them end.

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
    history = tf.gather(live.history, parents, batch_dims=1)
    newest = tf.stack([words, rows], axis=2)[..., None]
    return Paths(write(history, time + 1, newest), totals), words == END


def _collect(
    pool: Pool, grown: Paths, ended: tf.Tensor, time: tf.Tensor, options: SearchOptions
) -> Pool:
    """Return the best of the pool and of what ended among the likeliest; the best score first."""
    grown = grown._replace(log_probs=tf.where(ended, grown.log_probs, -math.inf))
    new = Paths(*(part[:, : options.beams] for part in grown))
    both = tf.nest.map_structure(
        lambda old, new: tf.concat([old, new], axis=1),
        pool,
        Pool(new, options.score(new.log_probs, time)),
    )
    return _take(both, tf.math.top_k(both.scores, options.beams).indices)


def _go_on(
    pool: Pool, grown: Paths, ended: tf.Tensor, time: tf.Tensor, options: SearchOptions
) -> Paths:
    """Return the likeliest that did not end; where a row is done, they are dead (-inf)."""
    log_probs, kept = tf.math.top_k(
        tf.where(ended, -math.inf, grown.log_probs),
        tf.minimum(options.beams, tf.shape(ended)[1]),
    )
    full = pool.scores[:, -1] > -math.inf
    within_reach = options.score(log_probs[:, 0], tf.where(full, time, options.max_words))
    done = pool.scores[:, options.n_best - 1] >= within_reach
    return _take(grown, kept)._replace(log_probs=tf.where(done[:, None], -math.inf, log_probs))


def _take(nest: Any, indices: tf.Tensor) -> Any:
    """Return the hypotheses at `indices` [batch, k]."""
    return tf.nest.map_structure(lambda part: tf.gather(part, indices, batch_dims=1), nest)
