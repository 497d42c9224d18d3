"""Texts to word ids and back in TensorFlow ops, for exports that run without Python.

The ops compute the same as `data.media.vocabulary` and `data.media.words`: normalize, lower-case,
find the words, with tables of characters from Python, so that both use the same version of Unicode.
`tf.strings.lower` would know fewer letters (41 code points) and, worse, follow the locale of the
process: under LANG=tr_TR an export would lower-case "I" to a dotless "ı". Time and memory are
linear in the length of a text.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from data.media.vocabulary import END, PAD, START, UNKNOWN, Vocabulary
from data.media.words import JOIN, SPACE, SPACING, needs_space
from pipelines.preprocessing.images import check_valid
from pipelines.preprocessing.normalization import lowercase, normalize
from pipelines.preprocessing.unicode_tables import SEPARATOR, Characters, search

INPUT_VOCABULARY = "source-vocabulary.txt"  # in a run directory and in an export's assets
_FIRST_MARK = 0x300  # a text of lower code points is already normalized


@keras.saving.register_keras_serializable("wordreel")
@dataclasses.dataclass(frozen=True)
class TextPreprocessing:
    """The input of an export whose model takes a text."""

    vocabulary: Vocabulary  # the words of the training texts
    max_words: int  # further words are truncated

    signature = tf.TensorSpec([None], tf.string, "text")

    @property
    def files(self) -> Mapping[str, Callable[[Path], object]]:
        """The vocabulary, an asset of the export."""
        return {INPUT_VOCABULARY: self.vocabulary.save}

    def read_in_graph(self, texts: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Return the word ids of texts, string `[batch]`, and which have a word: bool `[batch]`."""
        ids = encode(texts, self.vocabulary, self.max_words)
        return ids, tf.math.count_nonzero(ids, axis=1) > 2  # START and END are in every row

    def description(self) -> dict[str, object]:
        """Return the `input` entry of an export's wordreel.json."""
        words = {"size": len(self.vocabulary), "hash": self.vocabulary.hash}
        return {"vocabulary": words, "max_words": self.max_words}

    def read(self, texts: tf.Tensor) -> tf.Tensor:
        """Return the word ids of texts, string `[batch]`.

        Raises:
            ValueError: for another shape or dtype.
            tf.errors.InvalidArgumentError: for a text without a word.
        """
        if texts.dtype != tf.string or texts.shape.rank != 1:
            raise ValueError(
                f"texts must be string [batch]; got {texts.dtype.name} {texts.shape.as_list()}"
            )
        ids = encode_outside_graph(texts, self.vocabulary, self.max_words)
        return check_valid(ids, tf.math.count_nonzero(ids, axis=1) > 2, "has no word")

    def get_config(self) -> dict[str, object]:
        """Return what `from_config` needs."""
        return {"words": list(self.vocabulary.words), "max_words": self.max_words}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> TextPreprocessing:
        """Return the preprocessing of `get_config`."""
        return cls(Vocabulary(config["words"]), config["max_words"])


def encode(texts: tf.Tensor, vocabulary: Vocabulary, max_words: int) -> tf.Tensor:
    """Encode each text as `vocabulary.encode` does, padded with PAD.

    Args:
        texts: string `[batch]`, at least one; bytes that are not UTF-8 separate words.
        vocabulary: its words become constants of the graph.
        max_words: further words are truncated.

    Returns:
        int32 `[batch, time]`.
    """
    words = tokenize_with_spaces(texts, vocabulary.punctuation)[:, :max_words]
    ids = tf.ragged.map_flat_values(functools.partial(_word_ids, vocabulary), words)
    rows = ids.nrows()
    start, end = (tf.fill([rows, 1], tf.constant(token, tf.int32)) for token in (START, END))
    return tf.concat([start, ids, end], axis=1).to_tensor()


def encode_outside_graph(texts: tf.Tensor, vocabulary: Vocabulary, max_words: int) -> tf.Tensor:
    """Encode as `encode` does, in Python: a dataset starts sooner, but cannot be exported."""

    def rows(batch: np.ndarray) -> np.ndarray:
        ids = [vocabulary.encode(text.decode(errors="replace"), max_words) for text in batch]
        longest = max(map(len, ids))
        return np.array([row + [PAD] * (longest - len(row)) for row in ids], np.int32)

    return tf.ensure_shape(tf.numpy_function(rows, [texts], tf.int32), [None, None])


def decode(tokens: tf.Tensor, vocabulary: Vocabulary) -> tf.Tensor:
    """Decode ids up to END, int32 `[..., time]` → string `[...]`, as `vocabulary.decode` does."""
    words = vocabulary.words
    after = tf.constant([needs_space(word, "a") for word in words])
    before = tf.constant([needs_space("a", word) for word in words])
    texts = tf.constant([SPACING.get(word, word) for word in words])
    previous = tf.concat([tf.zeros_like(tokens[..., :1]), tokens[..., :-1]], axis=-1)
    spaced = tf.gather(after, previous) & tf.gather(before, tokens)
    spaces = tf.where(spaced & (previous > END), " ", "")
    parts = tf.where(tokens > END, spaces + tf.gather(texts, tokens), "")
    return tf.strings.strip(tf.strings.reduce_join(parts, axis=-1))


def _word_ids(vocabulary: Vocabulary, words: tf.Tensor) -> tf.Tensor:
    """Return the ids of words, `[n]`: a hash finds the only candidate, which is compared."""
    buckets = 2**62
    with tf.init_scope():  # values, not ops of the graph
        hashes = tf.strings.to_hash_bucket_fast(list(vocabulary.words), buckets).numpy()
    order = np.argsort(hashes)
    if len(np.unique(hashes)) < len(hashes):
        raise ValueError("two words of the vocabulary have the same hash")
    position, _ = search(hashes[order], tf.strings.to_hash_bucket_fast(words, buckets))
    ids = tf.gather(tf.constant(order, tf.int32), position)
    known = tf.equal(tf.gather(tf.constant(vocabulary.words), ids), words)
    return tf.where(known, ids, UNKNOWN)


def tokenize_with_spaces(texts: tf.Tensor, punctuation: bool = False) -> tf.RaggedTensor:
    """Split texts as `data.media.words.tokenize_with_spaces` does.

    Args:
        texts: string `[batch]`, at least one.
        punctuation: whether to keep punctuation.

    Returns:
        Ragged string `[batch, (words)]`.
    """
    points = tf.strings.unicode_decode(texts, "UTF-8", errors="replace")
    separators = tf.fill([points.nrows(), 1], tf.constant(SEPARATOR, tf.int32))
    row = tf.concat([points, separators], axis=1).flat_values
    needs_normalizing = tf.reduce_any((row >= _FIRST_MARK) & (row < SEPARATOR))
    row = tf.cond(needs_normalizing, lambda: normalize(row), lambda: row)
    row = lowercase(row)
    characters = Characters.of(row)
    segment = tf.cumsum(tf.cast(~_continues(characters), tf.int64)) - 1
    words = tf.math.segment_max(tf.cast(characters.has("word"), tf.int32), segment) > 0
    starts = tf.math.segment_min(tf.range(tf.size(row, tf.int64)), segment)
    sizes = tf.math.segment_sum(tf.ones_like(row, tf.int64), segment)
    no_token = ("space", "separator", "skipped", "mark", "joiner")
    kept = (words | punctuation) & ~characters.at(starts).within(*no_token)
    starts, sizes = tf.boolean_mask(starts, kept), tf.boolean_mask(sizes, kept)
    own = tf.boolean_mask(row, tf.gather(kept, segment))
    tokens = tf.strings.unicode_encode(tf.RaggedTensor.from_row_lengths(own, sizes), "UTF-8")
    text = tf.cumsum(tf.cast(characters.within("separator"), tf.int64))
    text = tf.gather(text, starts)  # there is no separator within or before the first text
    markers = _markers(characters, starts, sizes, text)
    both = tf.stack([markers, tokens], axis=1)
    given = tf.not_equal(both, "")
    rows = tf.boolean_mask(tf.stack([text, text], axis=1), given)
    return tf.RaggedTensor.from_value_rowids(
        tf.boolean_mask(both, given), rows, tf.size(texts, tf.int64)
    )


def _markers(
    characters: Characters, starts: tf.Tensor, sizes: tf.Tensor, text: tf.Tensor
) -> tf.Tensor:
    """Return JOIN or SPACE where it stands before a token, else "", string `[tokens]`.

    Args:
        characters: of all texts.
        starts: int64 `[tokens]`, where each token begins.
        sizes: int64 `[tokens]`, its number of characters.
        text: int64 `[tokens]`, its text.
    """
    end_before = tf.concat([[tf.constant(0, tf.int64)], (starts + sizes)[:-1]], axis=0)
    same_text = tf.equal(tf.concat([[tf.constant(-1, tf.int64)], text[:-1]], axis=0), text)
    spaces = tf.cumsum(tf.cast(characters.within("space"), tf.int64), exclusive=True)
    between = starts - end_before
    only_space = tf.equal(tf.gather(spaces, starts) - tf.gather(spaces, end_before), between)
    first = characters.at(starts)
    last = first.shift(1)
    usual = ~(
        last.has("opening") | first.has("closing") | last.has("unspaced") | first.has("unspaced")
    )
    join = same_text & usual & tf.equal(between, 0)
    space = same_text & ~usual & (between > 0) & only_space
    return tf.where(join, JOIN, tf.where(space, SPACE, ""))


def _continues(characters: Characters) -> tf.Tensor:
    """Return which characters belong to the token of the one before, bool `[n]`.

    The rules of Unicode Standard Annex 29, with the differences of `data.media.words`.
    """
    attached = characters.within("mark", "joiner") & ~characters.shift(1).within(
        "space", "separator"
    )
    after_joiner = characters.shift(1).within("joiner") & characters.has("pictograph")
    own = characters.select(~attached)
    last, next_ = own.shift(1), own.shift(-1)
    letters, everything = ("letter", "hebrew"), ("letter", "hebrew", "digit", "connector")
    around_letters = last.within(*letters) & next_.within(*letters)
    around_digits = last.within("digit") & next_.within("digit")
    around_both = last.within(*letters, "digit") & next_.within(*letters, "digit")
    inner = (
        (own.within("quote", "inner") & around_both)
        | (own.within("inner_both", "inner_letters") & around_letters)
        | (own.within("inner_both", "inner_digits") & around_digits)
    )
    hebrew = last.within("hebrew")
    inner |= own.within("quote") & hebrew
    inner |= own.within("double_quote") & hebrew & next_.within("hebrew")
    after_inner = tf.concat([[False], inner[:-1]], axis=0)
    regional = own.within("regional")
    run = tf.cumsum(tf.cast(~regional, tf.int32))
    place = tf.cumsum(tf.cast(regional, tf.int32))
    place -= tf.gather(tf.math.segment_min(place, run), run)
    first_of_run = tf.cast(regional[:1], tf.int32)
    # The first run may begin with a flag, others with the character before them.
    place += tf.where(tf.equal(run, 0), first_of_run, 0)
    second_of_flag = regional & tf.equal(place % 2, 0)
    joined = (
        (own.within(*everything) & (last.within(*everything) | after_inner))
        | inner
        | second_of_flag
        | tf.boolean_mask(after_joiner, ~attached)
    )
    base = tf.cumsum(tf.cast(~attached, tf.int32)) - 1
    return attached | tf.gather(joined, base)
