"""Beam search for the n best sentences of each row. See `models.search.hypotheses`.

Each step keeps the `beams` most likely unfinished continuations. A continuation that ends enters
the row's pool of finished sentences if it is among the `beams` most likely of all continuations;
the pool is ranked by length-penalized score. A row is finished when no unfinished hypothesis can
still reach the `n_best`: log P only falls, so log P / penalty(max_words) bounds every later score.
Once the pool holds `beams` sentences, the penalty of the current length is used instead: otherwise
most rows would run to `max_words` without a change. With one beam this is greedy search. A few
sentences are much longer than the others: whenever a quarter of the active rows are finished, they
leave the batch, and later steps cost less.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import tensorflow as tf

from models.memory import gather_rows
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
from models.tokens import END, START


class Pool(NamedTuple):
    """The best finished sentences, `beams` per row, best score first."""

    paths: Paths
    scores: tf.Tensor  # float32 [batch, beams]; -inf for an empty slot


class Search(NamedTuple):
    """What changes at every step."""

    time: tf.Tensor  # int32 scalar, the number of words so far
    live: Paths  # unfinished sentences, best first
    pool: Pool
    state: Any  # decoder states of `live`, a nest of tensors [batch * k, ...]
    attentions: tf.TensorArray  # the attention of each step
    offset: tf.Tensor  # int32 scalar, the number of attention rows so far


def beam_search(
    step: Step, state: Any, memory: Any, batch: tf.Tensor | int, options: SearchOptions
) -> Hypotheses:
    """Return the `n_best` sentences of each of `batch` rows, best score first.

    Args: see `models.search.hypotheses`; of `state`, one row for each row of the batch.
    """

    def unfinished(search: Search, *_: Any) -> tf.Tensor:
        return (search.time == 0) | tf.reduce_any(_active_rows(search.live))

    def body(search: Search, memory: Any, rows: tf.Tensor, results: Pool) -> tuple[Any, ...]:
        search = _search_until_rows_finish(step, search, memory, shapes, options)
        results = _store_results(results, rows, search.pool)
        kept = tf.where(_active_rows(search.live))[:, 0]
        return (
            _keep_rows(search, kept),
            gather_rows(memory, kept),
            tf.gather(rows, kept),
            results,
        )

    # The beam starts with one hypothesis and widens at the first step.
    live = _initial_paths(batch, 1, 0.0, options)
    empty = _initial_paths(batch, options.beams, -math.inf, options)
    pool = Pool(empty, empty.log_probs)
    search = Search(0, live, pool, state, new_attention_array(), 0)
    shapes = _search_shapes(search, options)
    search, _, _, pool = tf.while_loop(
        unfinished,
        body,
        (search, memory, tf.range(batch), pool),
        (shapes, loop_shapes(memory), tf.TensorShape([None]), shapes.pool),
    )
    best = Paths(*(part[:, : options.n_best] for part in pool.paths))
    return finished_hypotheses(best, search.attentions, options)


def _search_until_rows_finish(
    step: Step, search: Search, memory: Any, shapes: Search, options: SearchOptions
) -> Search:
    """Search until a quarter of the rows are finished, at least one step."""

    def few_rows_finished(time: tf.Tensor, live: Paths, *_: Any) -> tf.Tensor:
        active = tf.math.count_nonzero(_active_rows(live), dtype=tf.int32)
        return (time == 0) | (4 * active > 3 * tf.shape(live.log_probs)[0])

    def body(*parts: Any) -> Search:
        time, live, pool, state, attentions, offset = parts
        tokens = tf.reshape(live.tokens, [-1, options.history_length])
        logits, state, attention = step(tokens[:, time], state, memory)
        count = min(options.beams + 1, logits.shape[1])  # END and `beams` words
        found = next_token_candidates(logits, tokens, time, options, count)
        expanded, ended = _expand(live, *found, time, offset, options.beams)
        pool = _update_pool(pool, expanded, ended, time, options)
        live = _next_beam(pool, expanded, ended, time, options)
        parents = tf.reshape(live.history[:, :, 1, time + 1], [-1]) - offset
        attentions = attentions.write(time, attention)
        offset += tf.shape(tokens)[0]
        return Search(time + 1, live, pool, gather_rows(state, parents), attentions, offset)

    return Search(*tf.while_loop(few_rows_finished, body, search, shapes))


def _keep_rows(search: Search, kept: tf.Tensor) -> Search:
    """Return the search of the `kept` rows of the batch."""
    hypotheses = tf.range(tf.size(search.live.log_probs))
    hypotheses = tf.gather(tf.reshape(hypotheses, tf.shape(search.live.log_probs)), kept)
    return search._replace(
        live=gather_rows(search.live, kept),
        pool=gather_rows(search.pool, kept),
        state=gather_rows(search.state, tf.reshape(hypotheses, [-1])),
    )


def _active_rows(live: Paths) -> tf.Tensor:
    """Return which rows are not finished, bool [batch]."""
    return tf.reduce_any(live.log_probs > -math.inf, axis=1)


def _store_results(results: Pool, rows: tf.Tensor, pool: Pool) -> Pool:
    """Write the pools of `rows` of the batch into `results`."""
    return tf.nest.map_structure(
        lambda old, new: tf.tensor_scatter_nd_update(old, rows[:, None], new), results, pool
    )


def _initial_paths(
    batch: tf.Tensor | int, width: int, log_prob: float, options: SearchOptions
) -> Paths:
    """Return `width` hypotheses per row that consist of START."""
    empty = tf.zeros([batch, width, 2, options.history_length], tf.int32)
    return Paths(set_column(empty, 0, [[START], [0]]), tf.fill([batch, width], log_prob))


def _search_shapes(search: Search, options: SearchOptions) -> Search:
    """Return the loops' shape invariants: the number of rows and of beams may change."""

    def paths(width: int | None) -> Paths:
        history = tf.TensorShape([None, width, 2, options.history_length])
        return Paths(history, history[:2])

    pool = paths(options.beams)
    scalar = tf.TensorShape([])
    states = loop_shapes(search.state)
    return Search(scalar, paths(None), Pool(pool, pool.log_probs), states, None, scalar)


def _expand(
    live: Paths,
    log_probs: tf.Tensor,
    ids: tf.Tensor,
    time: tf.Tensor,
    offset: tf.Tensor,
    beams: int,
) -> tuple[Paths, tf.Tensor]:
    """Return the most likely continuations of `live` [batch, k], best first, and which end.

    `log_probs` and `ids` [batch * k, count] are the best next tokens of each.
    """
    # At most k <= beams are END: 2 * beams continuations suffice for the pool and the next beam.
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
    return Paths(set_column(history, time + 1, newest), totals), words == END


def _update_pool(
    pool: Pool,
    expanded: Paths,
    ended: tf.Tensor,
    time: tf.Tensor,
    options: SearchOptions,
) -> Pool:
    """Add the sentences that ended at this step to the pool; best score first."""
    expanded = expanded._replace(log_probs=tf.where(ended, expanded.log_probs, -math.inf))
    new = Paths(*(part[:, : options.beams] for part in expanded))
    both = tf.nest.map_structure(
        lambda old, new: tf.concat([old, new], axis=1),
        pool,
        Pool(new, options.score(new.log_probs, time)),
    )
    return _gather_paths(both, tf.math.top_k(both.scores, options.beams).indices)


def _next_beam(
    pool: Pool,
    expanded: Paths,
    ended: tf.Tensor,
    time: tf.Tensor,
    options: SearchOptions,
) -> Paths:
    """Return the most likely unfinished hypotheses; -inf in finished rows."""
    log_probs, kept = tf.math.top_k(
        tf.where(ended, -math.inf, expanded.log_probs),
        tf.minimum(options.beams, tf.shape(ended)[1]),
    )
    full = pool.scores[:, -1] > -math.inf
    best_possible = options.score(log_probs[:, 0], tf.where(full, time, options.max_words))
    done = pool.scores[:, options.n_best - 1] >= best_possible
    return _gather_paths(expanded, kept)._replace(
        log_probs=tf.where(done[:, None], -math.inf, log_probs)
    )


def _gather_paths(nest: Any, indices: tf.Tensor) -> Any:
    """Return the hypotheses at `indices` [batch, k]."""
    return tf.nest.map_structure(lambda part: tf.gather(part, indices, batch_dims=1), nest)
