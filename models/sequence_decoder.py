"""Memory → words: one set of weights, one step, for training and for search."""

from __future__ import annotations

import functools
from typing import Any

import keras
import tensorflow as tf

from models.decoding import Step
from models.decoder_cells import DECODERS, Cache
from models.losses import cross_entropy
from models.memory import Memory


@keras.saving.register_keras_serializable(package="wordreel")
class SequenceDecoder(keras.layers.Layer):
    """Word embedding, a decoder cell, and a projection to the vocabulary.

    The projection is tied to the embedding (Press & Wolf 2017):
    logits_t = E (W_y output_t) + b, with E the embedding `[vocabulary, depth]`.
    """

    def __init__(
        self,
        vocabulary: int,
        *,
        cell: str = "show-attend-tell",
        units: int = 512,
        embedding: int = 512,
        dropout: float = 0.5,
        **kwargs: Any,
    ) -> None:
        """Make a decoder.

        Args:
            vocabulary: number of word ids.
            cell: a name in `models.decoder_cells.DECODERS`.
            units: width of the LSTMs and of the attention.
            embedding: width of a word vector.
            dropout: share of word vectors' and outputs' values dropped in training.

        Raises:
            ValueError: if there is no such cell.
        """
        super().__init__(**kwargs)
        if cell not in DECODERS:
            raise ValueError(f"unknown decoder {cell!r}; known: {', '.join(DECODERS)}")
        self.config = dict(
            vocabulary=vocabulary, cell=cell, units=units, embedding=embedding, dropout=dropout
        )
        self.cell = DECODERS[cell](units, name=cell.replace("-", "_"))
        self.to_embedding = keras.layers.Dense(embedding, name="to_embedding")
        self.drop_words = keras.layers.Dropout(dropout)
        self.drop_outputs = keras.layers.Dropout(dropout)

    def build(self, memory_depth: int) -> None:
        """Create the weights for a memory of `memory_depth` dimensions."""
        size, depth = self.config["vocabulary"], self.config["embedding"]
        self.embedding = self.add_weight(
            shape=(size, depth), initializer=keras.initializers.RandomNormal(stddev=depth**-0.5), name="embedding"
        )
        self.bias = self.add_weight(shape=(size,), initializer="zeros", name="bias")
        self.cell.build(depth, memory_depth)
        self.to_embedding.build((None, self.cell.output_depth))

    def embed(self, tokens: tf.Tensor) -> tf.Tensor:
        """Look words up: int32 `[...]` → float32 `[..., embedding]`, scaled to unit variance."""
        return tf.gather(self.embedding, tokens) * self.config["embedding"] ** 0.5

    def outputs(self, memory: Memory, tokens: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Run over given words: tokens int32 `[batch, time]` → outputs `[batch, time, width]`."""
        cache = self.cell.prepare(memory)
        embedded = self.drop_words(self.embed(tokens), training=training)

        def step(carry: Any, projected: tf.Tensor) -> Any:
            output, state, _ = self.cell.step(projected, carry[1], cache)
            return output, state

        nothing = tf.zeros([tf.shape(tokens)[0], self.cell.output_depth])
        outputs, _ = tf.scan(
            step,
            tf.transpose(self.cell.project(embedded), [1, 0, 2]),
            (nothing, self.cell.initial_state(memory)),
        )
        return tf.transpose(outputs, [1, 0, 2])

    def loss(
        self, memory: Memory, tokens: tf.Tensor, *, smoothing: float = 0.0, sampling: tf.Tensor | float = 0.0,
    ) -> tf.Tensor:
        """Return the mean cross-entropy of each next word; padding costs nothing.

        Args:
            memory: what the words are about.
            tokens: int32 `[batch, time]`: START, words, END, padding.
            smoothing: see `models.losses.cross_entropy`.
        """
        inputs, targets = tokens[:, :-1], tokens[:, 1:]
        outputs = self.outputs(memory, inputs, training=True)
        real = targets != 0
        logits = self.logits(tf.boolean_mask(outputs, real), training=True)
        return tf.reduce_mean(cross_entropy(logits, tf.boolean_mask(targets, real), smoothing))

    def logits(self, outputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Score every word: `[rows, width]` → `[rows, vocabulary]`."""
        outputs = self.drop_outputs(self.to_embedding(outputs), training=training)
        return tf.matmul(outputs, self.embedding, transpose_b=True) + self.bias

    def start(self, memory: Memory) -> tuple[Step, Any]:
        """Return the step function over this memory, for `models.decoding`, and its first state."""
        cache = self.cell.prepare(memory)
        return functools.partial(self._step, cache), self.cell.initial_state(memory)

    def _step(self, cache: Cache, tokens: tf.Tensor, state: Any) -> tuple[tf.Tensor, Any, tf.Tensor]:
        output, state, attention = self.cell.step(
            self.cell.project(self.embed(tokens)), state, cache
        )
        return self.logits(output), state, attention

    def get_config(self) -> dict[str, Any]:
        """Return what `from_config` needs."""
        return {**super().get_config(), **self.config}
