"""A text's word ids → Memory."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from models.layers.rnn import Recurrent
from models.memory import Memory
from models.tokens import PAD, UNKNOWN


@keras.saving.register_keras_serializable(package="wordreel")
class TextEncoder(keras.layers.Layer):
    """Word vectors through recurrent layers: the items of the memory are h after each word.

    A word's vector x is its own; with affixes, words that begin or end alike share a part of
    theirs, x = E[w] + A[beginning of w] + A[end of w], so that a rare word is told by its kin (as
    fastText's are by all their n-grams: Bojanowski et al. 2017).

    The summary is the state at the end: of a bidirectional layer, that after the last word going
    forwards beside that after the first going backwards. Padding leaves both as they were.
    """

    def __init__(
        self,
        vocabulary: int,
        *,
        cell: str = "lstm",
        units: int = 128,
        layers: int = 1,
        bidirectional: bool = True,
        embedding: int = 128,
        dropout: float = 0.5,
        embedding_dropout: float | None = None,
        word_dropout: float = 0.0,
        variational: bool = False,
        affixes: int = 0,
        **kwargs: Any,
    ) -> None:
        """Make an encoder.

        Args:
            vocabulary: number of word ids.
            cell: a name in `models.layers.cells.CELLS`.
            units: hidden units of each cell.
            layers: recurrent layers that stand upon each other; 0 for the mean.
            bidirectional: whether each reads backwards as well.
            embedding: width of a word vector.
            dropout: share of the outputs' values dropped in training.
            embedding_dropout: share of the word vectors' values; None: as of the outputs'.
            word_dropout: share of the words that become UNKNOWN in training (Dai & Le 2015).
            variational: whether the same values are dropped of all outputs of a text (Gal &
                Ghahramani 2016).
            affixes: number of beginnings and ends, that of none included; 0 for no such parts.
                Which word has which stands in `affix_numbers`, int32 `[vocabulary, 2]`.
            kwargs: of `keras.layers.Layer`.
        """
        super().__init__(**kwargs)
        self.vocabulary, self.embedding_depth, self.rate = vocabulary, embedding, dropout
        self.recurrent = Recurrent(
            cell,
            units,
            layers=layers,
            bidirectional=bidirectional,
            dropout=dropout,
            name="recurrent",
        )
        self.variational, self.affixes = variational, affixes
        self.hide_words = keras.layers.Dropout(word_dropout)
        self.drop_words = keras.layers.Dropout(
            dropout if embedding_dropout is None else embedding_dropout
        )
        self.drop_outputs = keras.layers.Dropout(
            dropout, noise_shape=(None, 1, None) if variational else None
        )

    def build(self) -> None:
        """Create the vectors E `[vocabulary, embedding]`, A, and the weights of the cells."""
        self.embedding = self.add_weight(
            shape=(self.vocabulary, self.embedding_depth),
            initializer=keras.initializers.RandomNormal(stddev=0.1),
            name="embedding",
        )
        if self.affixes:
            self.affix_vectors = self.add_weight(
                shape=(self.affixes, self.embedding_depth),
                initializer=keras.initializers.RandomNormal(stddev=0.1),
                name="affix_vectors",
            )
            self.affix_numbers = self.add_weight(
                shape=(self.vocabulary, 2),
                dtype="int32",
                initializer="zeros",
                trainable=False,
                name="affix_numbers",
            )
        self.recurrent.build((None, None, self.embedding_depth))
        self.depth = self.recurrent.depth
        self.built = True

    def call(self, tokens: tf.Tensor, training: bool = False) -> Memory:
        """Encode int32 `[batch, time]`, padded with PAD, into a Memory of `self.depth`."""
        mask = tf.not_equal(tokens, PAD)
        if training and self.hide_words.rate:
            kept = self.hide_words(tf.ones(tf.shape(tokens)), training=True) > 0
            tokens = tf.where(mask & ~kept, UNKNOWN, tokens)
        words = self.drop_words(self._vectors(tokens), training=training)
        values, summary = self.recurrent(words, mask, training=training)
        values = self.drop_outputs(values, training=training)
        summary = self.drop_outputs(summary[:, tf.newaxis], training=training)[:, 0]
        return Memory(values, mask, summary)

    def _vectors(self, tokens: tf.Tensor) -> tf.Tensor:
        vectors = tf.gather(self.embedding, tokens)
        if not self.affixes:
            return vectors
        numbers = tf.gather(self.affix_numbers, tokens)
        shared = tf.gather(self.affix_vectors, numbers)
        there = tf.cast(numbers > 0, tf.float32)[..., tf.newaxis]
        return vectors + tf.reduce_sum(there * shared, axis=-2)

    def get_config(self) -> dict[str, Any]:
        """Return what `from_config` needs."""
        recurrent = self.recurrent
        return {
            **super().get_config(),
            "vocabulary": self.vocabulary,
            "cell": recurrent.cell,
            "units": recurrent.units,
            "layers": recurrent.layers,
            "bidirectional": recurrent.bidirectional,
            "embedding": self.embedding_depth,
            "dropout": self.rate,
            "embedding_dropout": self.drop_words.rate,
            "word_dropout": self.hide_words.rate,
            "variational": self.variational,
            "affixes": self.affixes,
        }
