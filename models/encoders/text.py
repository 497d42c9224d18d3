"""Token ids of a text → Memory."""

from __future__ import annotations

import keras
import tensorflow as tf

from models.layers.rnn import Recurrent
from models.memory import Memory
from models.tokens import PAD, UNKNOWN


class TextEncoder(keras.layers.Layer):
    """Word embeddings and recurrent layers: the items of the memory are h after each word.

    The embedding of a word is E[w]; with affixes it is x = E[w] + A[prefix of w] + A[suffix of w],
    so that rare words share parameters with others (as in fastText with all n-grams: Bojanowski et
    al. 2017). The summary is the final state of each direction.
    """

    def __init__(
        self,
        vocabulary: int,
        recurrent: Recurrent,
        *,
        embedding: int = 128,
        dropout: float = 0.5,
        embedding_dropout: float | None = None,
        word_dropout: float = 0.0,
        variational: bool = False,
        affixes: int = 0,
    ) -> None:
        """Create an encoder.

        Args:
            vocabulary: number of token ids.
            recurrent: the layers, built here.
            embedding: dimensions of the word embeddings.
            dropout: dropout rate of the outputs.
            embedding_dropout: dropout rate of the word embeddings; None: `dropout`.
            word_dropout: share of words replaced by UNKNOWN in training (Dai & Le 2015).
            variational: whether all outputs of a text share a mask (Gal & Ghahramani 2016).
            affixes: number of prefixes and suffixes, including id 0 for none; 0 disables them.
                `affix_numbers`, int32 `[vocabulary, 2]`, holds the two ids of each word.
        """
        super().__init__()
        self.vocabulary, self.embedding_depth, self.affixes = vocabulary, embedding, affixes
        self.recurrent = recurrent
        self.hide_words = keras.layers.Dropout(word_dropout)
        self.drop_words = keras.layers.Dropout(
            dropout if embedding_dropout is None else embedding_dropout
        )
        self.drop_outputs = keras.layers.Dropout(
            dropout, noise_shape=(None, 1, None) if variational else None
        )

    def build(self) -> None:
        """Create E `[vocabulary, embedding]`, A `[affixes, embedding]`, and the cells' weights."""
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
        words = self.drop_words(self._embed(tokens), training=training)
        values, summary = self.recurrent(words, mask, training=training)
        values = self.drop_outputs(values, training=training)
        summary = self.drop_outputs(summary[:, tf.newaxis], training=training)[:, 0]
        return Memory(values, mask, summary)

    def _embed(self, tokens: tf.Tensor) -> tf.Tensor:
        vectors = tf.gather(self.embedding, tokens)
        if not self.affixes:
            return vectors
        numbers = tf.gather(self.affix_numbers, tokens)
        shared = tf.gather(self.affix_vectors, numbers)
        present = tf.cast(numbers > 0, tf.float32)[..., tf.newaxis]
        return vectors + tf.reduce_sum(present * shared, axis=-2)
