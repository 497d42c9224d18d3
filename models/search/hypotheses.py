"""What every search shares: the step function, the options, the allowed tokens, the result.

A search does not depend on a model, only on a function of one decoding step,
`step(tokens, state, memory) -> (logits, state, attention)`:

    tokens     int32 [N], the last token of each hypothesis (START at first)
    state      any nest of tensors [N, ...]
    memory     any nest of tensors [batch, ...], the same at every step
    logits     float32 [N, V]
    attention  float32 [N, M], the attention weights over the memory

N is batch * hypotheses per row, batch-major. Both may change between calls: a beam starts with one
hypothesis, and finished rows leave the batch. V is static. The whole search is one `tf.while_loop`
of stock ops: it runs eagerly, in a `tf.function` and in a SavedModel.

The search space is all sentences of at most `max_words` words, each followed by END: at the last
step only END is allowed, and the score includes it. PAD and START are never chosen; `SearchOptions`
may forbid more tokens, which does not change the probabilities of the others. If no token is
allowed, END is chosen. Logits with a NaN or +inf (or only -inf) end their hypothesis at once, with
the log-probability `IMPOSSIBLE`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import tensorflow as tf

from models.tokens import END, PAD, UNKNOWN

IMPOSSIBLE = -1e4  # log-probability of END where the model excludes it: finite, below any other

Step = Callable[[tf.Tensor, Any, Any], tuple[tf.Tensor, Any, tf.Tensor]]


class Hypotheses(NamedTuple):
    """Decoded sentences: n per row; T = max_words + 1, with room for END.

    A row with fewer than n possible sentences is padded with empty ones of score -inf.

    Attributes:
        tokens: int32 [batch, n, T], without START; PAD after END.
        lengths: int32 [batch, n], words without END.
        scores: float32 [batch, n], log_probs / length penalty.
        log_probs: float32 [batch, n], the model's own log P(words, END).
        attention: float32 [batch, n, T, M], of the step that chose each token; 0 after END.
    """

    tokens: tf.Tensor
    lengths: tf.Tensor
    scores: tf.Tensor
    log_probs: tf.Tensor
    attention: tf.Tensor


@dataclass(frozen=True)
class SearchOptions:
    """Options of a search; `Config` checks their ranges.

    Attributes:
        beams: hypotheses kept at each step (beam search only).
        max_words: maximum number of words in a sentence.
        min_words: minimum number of words, where such a sentence exists.
        length_penalty: alpha >= 0 of score = log P / ((5 + words) / 6) ** alpha (Wu et al. 2016,
            "Google's Neural Machine Translation System", eq. 14); 0 ranks by probability alone.
        no_repeat_ngram_size: n-grams of this size occur at most once in a sentence; 0: no limit.
        suppress_unknown: never choose UNKNOWN.
        n_best: sentences returned per row (beam search only), at most `beams`.
    """

    beams: int = 5
    max_words: int = 20
    min_words: int = 0
    length_penalty: float = 0.0
    no_repeat_ngram_size: int = 0
    suppress_unknown: bool = True
    n_best: int = 1

    @property
    def history_length(self) -> int:
        """Number of tokens in a history: START, the words and END."""
        return self.max_words + 2

    def score(self, log_probs: tf.Tensor, lengths: tf.Tensor | int) -> tf.Tensor:
        """Divide log_probs [...] by the length penalty of sentences of `lengths` [...] words."""
        return log_probs / ((5.0 + tf.cast(lengths, tf.float32)) / 6.0) ** self.length_penalty


class Paths(NamedTuple):
    """Hypotheses during the search.

    Attributes:
        history: int32 [batch, k, 2, history_length]: tokens, START first, PAD after the last; and
            for each the index of its attention row among those of all steps, so that the attention
            itself is never reordered.
        log_probs: float32 [batch, k]; -inf for an empty slot.
    """

    history: tf.Tensor
    log_probs: tf.Tensor

    @property
    def tokens(self) -> tf.Tensor:
        """The tokens so far, int32 [batch, k, history_length]."""
        return self.history[:, :, 0]


def next_token_candidates(
    logits: tf.Tensor,
    tokens: tf.Tensor,
    time: tf.Tensor,
    options: SearchOptions,
    count: int | None,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Return the most likely allowed next tokens, best first, ties by id.

    Args:
        logits: float32 [N, V].
        tokens: int32 [N, history_length], START and the words so far.
        time: int32 scalar, the number of words so far.
        options: see `SearchOptions`.
        count: how many, at most V; None for all V in the order of their ids, which is faster.

    Returns:
        Their log-probabilities, float32 [N, count], -inf for forbidden ones, and ids, int32
        [N, count]; at least one is finite, the first if `count` is given.
    """
    log_probs = tf.nn.log_softmax(logits)
    end = log_probs[:, END : END + 1]
    ranked = tf.where(_allowed_tokens(logits.shape[1], time, options), log_probs, -math.inf)
    ranked = _forbid_repeated_ngrams(ranked, tokens, time, options)
    if count is None:
        only, ids = END, tf.broadcast_to(tf.range(logits.shape[1]), tf.shape(ranked))
    else:
        only, (ranked, ids) = 0, tf.math.top_k(ranked, count)

    # If one log-probability is NaN, all of its row are.
    stuck = ~tf.math.is_finite(tf.reduce_max(ranked, axis=1, keepdims=True))
    end = tf.where(tf.math.is_finite(end), end, IMPOSSIBLE)
    end_alone = tf.where(tf.range(ranked.shape[1]) == only, end, -math.inf)
    return tf.where(stuck, end_alone, ranked), tf.where(stuck, END, ids)


def _allowed_tokens(size: int, time: tf.Tensor, options: SearchOptions) -> tf.Tensor:
    """Return which tokens may follow `time` words, bool [V]."""
    ids = tf.range(size)
    words = ids > (UNKNOWN if options.suppress_unknown else END)
    return tf.where(ids == END, time >= options.min_words, words & (time < options.max_words))


def _forbid_repeated_ngrams(
    logits: tf.Tensor, tokens: tf.Tensor, time: tf.Tensor, options: SearchOptions
) -> tf.Tensor:
    """Return logits [N, V] with -inf for words that would repeat an n-gram."""
    size = options.no_repeat_ngram_size
    if size == 0 or size >= options.max_words:
        return logits
    starts = options.history_length - size + 1
    newest = tf.maximum(time - size + 2 + tf.range(size - 1), 0)
    newest = tf.gather(tokens, newest, axis=1)  # the last size - 1 words
    repeated = tf.range(starts) + size - 1 <= time  # only complete n-grams
    for offset in range(size - 1):
        repeated &= tokens[:, offset : offset + starts] == newest[:, offset : offset + 1]
    completing = tokens[:, size - 1 :]
    repeated = tf.broadcast_to(repeated, tf.shape(completing))
    row = tf.broadcast_to(tf.range(tf.shape(tokens)[0])[:, None], tf.shape(completing))
    lowest = tf.where(repeated, -math.inf, math.inf)
    return tf.tensor_scatter_nd_min(logits, tf.stack([row, completing], axis=-1), lowest)


def new_attention_array() -> tf.TensorArray:
    """Return an empty TensorArray for the attention [N, M] of each step; N may change."""
    return tf.TensorArray(
        tf.float32, size=0, dynamic_size=True, infer_shape=False, element_shape=[None, None]
    )


def loop_shapes(state: Any) -> Any:
    """Return the shape invariants of a state in a loop: the leading dimension is free."""
    return tf.nest.map_structure(lambda part: tf.TensorShape([None, *part.shape[1:]]), state)


def set_column(history: tf.Tensor, column: tf.Tensor | int, new: tf.Tensor | int) -> tf.Tensor:
    """Return `history` [..., history_length] with `new` [..., 1] in one column."""
    return tf.where(tf.range(history.shape[-1]) == column, new, history)


def finished_hypotheses(
    paths: Paths, attentions: tf.TensorArray, options: SearchOptions
) -> Hypotheses:
    """Return finished hypotheses with their scores and the attention of each of their tokens."""
    tokens, rows = tf.unstack(paths.history[..., 1:], axis=2)
    lengths = tf.reduce_sum(tf.cast(tokens > END, tf.int32), axis=-1)
    attention = tf.gather(attentions.concat(), rows)
    return Hypotheses(
        tokens=tokens,
        lengths=lengths,
        scores=options.score(paths.log_probs, lengths),
        log_probs=paths.log_probs,
        attention=tf.where(tokens[..., None] == PAD, 0.0, attention),
    )
