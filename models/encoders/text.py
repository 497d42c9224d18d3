"""Token ids of a text → Memory."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from models.layers.linear import Layer
from models.layers.rnn import Recurrent
from models.memory import Memory
from models.tokens import PAD, UNKNOWN


@keras.saving.register_keras_serializable("wordreel")
class TextEncoder(Layer):
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
        **layer: Any,
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
            layer: the arguments of `keras.layers.Layer`.
        """
        super().__init__(**layer)
        self.vocabulary, self.embedding_depth, self.affixes = vocabulary, embedding, affixes
        self.recurrent, self.variational = recurrent, variational
        self.hide_words = keras.layers.Dropout(word_dropout, dtype=self.dtype_policy)
        self.drop_words = keras.layers.Dropout(
            dropout if embedding_dropout is None else embedding_dropout, dtype=self.dtype_policy
        )
        self.drop_outputs = keras.layers.Dropout(
            dropout,
            noise_shape=(None, 1, None) if variational else None,
            dtype=self.dtype_policy,
        )

    def build(self, input_shape: tuple[int | None, ...] | None = None) -> None:
        """Create E `[vocabulary, embedding]`, A `[affixes, embedding]`, and the cells' weights."""
        del input_shape  # that of the tokens has no influence
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
        if not self.recurrent.built:
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
        vectors = self.cast(tf.gather(self.embedding, tokens))
        if not self.affixes:
            return vectors
        numbers = tf.gather(self.affix_numbers, tokens)
        shared = self.cast(tf.gather(self.affix_vectors, numbers))
        present = self.cast(numbers > 0)[..., tf.newaxis]
        return vectors + tf.reduce_sum(present * shared, axis=-2)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        own = {
            "vocabulary": self.vocabulary,
            "recurrent": keras.saving.serialize_keras_object(self.recurrent),
            "embedding": self.embedding_depth,
            "dropout": self.drop_outputs.rate,
            "embedding_dropout": self.drop_words.rate,
            "word_dropout": self.hide_words.rate,
            "variational": self.variational,
            "affixes": self.affixes,
        }
        return {**super().get_config(), **own}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> TextEncoder:
        """Return the encoder of `get_config`."""
        recurrent = keras.saving.deserialize_keras_object(config["recurrent"])
        return cls(**{**config, "recurrent": recurrent})
