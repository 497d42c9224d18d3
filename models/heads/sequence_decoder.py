"""Memory → words: one set of weights and one step, for training and for search."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from models.heads.decoder_cells import DECODERS, Cache
from models.layers.linear import Layer, Linear, override_product, product
from models.layers.losses import cross_entropy
from models.memory import Memory, MemoryShape
from models.search.hypotheses import Step
from models.tokens import PAD

MAX_TABLE = 1 << 27  # bytes of `TableDecoder`: about 14,000 words of 512 units


@keras.saving.register_keras_serializable("wordreel")
class SequenceDecoder(Layer):
    """Word embedding, a decoder cell, and a projection to the vocabulary.

    The projection is tied to the embedding E `[vocabulary, embedding]` (Press & Wolf 2017):

        x_t = √d · E[w_{t-1}]
        logits_t = E (W_y output_t + b_y) + b
    """

    def __init__(
        self,
        vocabulary: int,
        *,
        decoder: str = "show-attend-tell",
        cell: str = "lstm",
        units: int = 512,
        embedding: int = 512,
        dropout: float = 0.5,
        **layer: Any,
    ) -> None:
        """Create a decoder.

        Args:
            vocabulary: number of token ids.
            decoder: a key of `models.heads.decoder_cells.DECODERS`.
            cell: a key of `models.layers.cells.CELLS`.
            units: hidden units of the cells; the attention has half as many.
            embedding: dimension d of the word embeddings.
            dropout: dropout rate of word embeddings and outputs.
            layer: the arguments of `keras.layers.Layer`.
        """
        super().__init__(**layer)
        self.vocabulary, self.depth = vocabulary, embedding
        self._config = {"decoder": decoder, "cell": cell, "units": units, "dropout": dropout}
        policy = self.dtype_policy
        self.cell = DECODERS[decoder](units, cell, name=decoder.replace("-", "_"), dtype=policy)
        self.to_embedding = Linear(embedding, name="to_embedding", dtype=policy)
        self.drop_words = keras.layers.Dropout(dropout, dtype=policy)
        self.drop_outputs = keras.layers.Dropout(dropout, dtype=policy)
        self.sampler = keras.random.SeedGenerator()

    def build(self, memory_shape: MemoryShape) -> None:
        """Create the weights for a memory of these shapes."""
        self.embedding = self.add_weight(
            shape=(self.vocabulary, self.depth),
            initializer=keras.initializers.RandomNormal(stddev=self.depth**-0.5),
            name="embedding",
        )
        self.bias = self.add_weight(shape=(self.vocabulary,), initializer="zeros", name="bias")
        memory_depth: Any = memory_shape[-1][-1]
        self.cell.build(self.depth, memory_depth)
        self.to_embedding.build((None, self.cell.output_depth))
        self.built = True

    def call(self, memory: Memory, tokens: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Return the logits of each next word, with one text per input.

        Args:
            memory: of `batch` inputs.
            tokens: int32 `[batch, time]`, the word before each word to predict.
            training: whether to apply dropout.

        Returns:
            `[batch, time, vocabulary]`.
        """
        outputs = self.teacher_force(memory, tokens, tf.range(tf.shape(tokens)[0]), training)
        return self.compute_logits(outputs, training)

    def prepare_search(
        self, memory: Memory, project: Callable[[tf.Tensor], tf.Tensor] | None = None
    ) -> tuple[Step, Any, Cache]:
        """Return the step function, its initial state and its memory, for `models.search`.

        `project` replaces the method of this name.
        """
        cache = self.cell.prepare(memory)
        values = tf.cast(cache.values, self.product_dtype)  # once, not at every step
        cache = cache._replace(values=values)
        step = functools.partial(self._step, project or self.project)
        return step, self.cell.initial_state(memory), cache

    def project(self, tokens: tf.Tensor) -> tf.Tensor:
        """Return W_x x of each word: int32 `[...]` → `[..., width]`."""
        return self.cell.project(self._embed(tokens))

    def optimize_for_inference(self) -> SequenceDecoder | TableDecoder:
        """Return a faster decoder with the same outputs, for search only, if its table fits."""
        row = self.project(tf.range(1))
        fits = self.vocabulary * row.shape[-1] * row.dtype.size <= MAX_TABLE
        return TableDecoder(self) if fits else self

    def loss(
        self,
        memory: Memory,
        targets: tuple[tf.Tensor, ...],
        *,
        smoothing: float = 0.0,
        sampling: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """Return the mean cross-entropy of the next words, in training mode; padding is ignored.

        Args:
            memory: of `batch` inputs.
            targets: int32 `[rows, time]`: START, words, END, padding; the example index,
                int32 `[rows]`: the input that each row describes; and optionally a weight for
                each row, float32 `[rows]`.
            smoothing: see `models.layers.losses.cross_entropy`.
            sampling: share of input words replaced by predicted ones (scheduled sampling).
        """
        tokens, example_index, *weights = targets
        inputs, next_tokens = tokens[:, :-1], tokens[:, 1:]
        if sampling is not None:
            inputs = self._scheduled_sampling(memory, inputs, example_index, sampling)
        is_word = tf.not_equal(next_tokens, PAD)
        outputs = self.teacher_force(memory, inputs, example_index, training=True)
        logits = self.compute_logits(tf.boolean_mask(outputs, is_word), training=True)
        losses = cross_entropy(logits, tf.boolean_mask(next_tokens, is_word), smoothing)
        for weight in weights:
            losses *= tf.gather(weight, tf.where(is_word)[:, 0])
        return tf.reduce_mean(losses)

    @staticmethod
    def target_weight(targets: tuple[tf.Tensor, ...]) -> tf.Tensor:
        """Return the denominator of the mean in `loss`, float32: the number of next words."""
        return tf.reduce_sum(tf.cast(tf.not_equal(targets[0][:, 1:], PAD), tf.float32))

    def teacher_force(
        self, memory: Memory, tokens: tf.Tensor, example_index: tf.Tensor, training: bool = False
    ) -> tf.Tensor:
        """Run the cell over given words (teacher forcing).

        Args:
            memory: of `batch` inputs.
            tokens: int32 `[rows, time]`, the word before each word to predict.
            example_index: int32 `[rows]`, the input that each row describes.
            training: whether to apply dropout.

        Returns:
            `[rows, time, depth]`, for `compute_logits`.
        """
        embedded = self.drop_words(self._embed(tokens), training=training)
        return self.cell.unroll(embedded, memory, example_index)

    def compute_logits(self, outputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Return logits over the vocabulary: `[..., cell.output_depth]` → `[..., vocabulary]`."""
        outputs = self.drop_outputs(self.to_embedding(outputs), training=training)
        return self.matmul(outputs, tf.transpose(self.embedding)) + self.cast(self.bias)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        own = {"vocabulary": self.vocabulary, "embedding": self.depth, **self._config}
        return {**super().get_config(), **own}

    def _embed(self, tokens: tf.Tensor) -> tf.Tensor:
        return self.cast(tf.gather(self.embedding, tokens)) * self.depth**0.5

    def _step(
        self,
        project: Callable[[tf.Tensor], tf.Tensor],
        tokens: tf.Tensor,
        state: Any,
        cache: Cache,
    ) -> tuple[tf.Tensor, Any, tf.Tensor]:
        output, state, attention = self.cell.step(project(tokens), state, cache)
        logits = tf.cast(self.compute_logits(output), tf.float32)
        return logits, state, tf.cast(attention, tf.float32)

    def _scheduled_sampling(
        self, memory: Memory, inputs: tf.Tensor, example_index: tf.Tensor, share: tf.Tensor
    ) -> tf.Tensor:
        """Replace a share of the input words by predictions (Bengio et al. 2015).

        In two passes over all steps at once (Mihaylova & Martins 2019): the first predicts each
        word from the true ones before it.
        """
        outputs = self.teacher_force(memory, inputs, example_index)
        predicted = self.compute_logits(tf.reshape(outputs, [-1, self.cell.output_depth]))
        words = tf.reshape(tf.argmax(predicted, axis=-1, output_type=tf.int32), tf.shape(inputs))
        words = tf.concat([inputs[:, :1], words[:, :-1]], axis=1)  # START stays
        chance = keras.random.uniform(tf.shape(inputs), seed=self.sampler)
        replace = (chance < share) & tf.not_equal(inputs, PAD)
        return tf.stop_gradient(tf.where(replace, words, inputs))


class TableDecoder(Layer):
    """A `SequenceDecoder` for search only, with a table of W_x x, `[vocabulary, width]`.

    With few rows a step is bound by the reading of weights, and W_x is among the largest; from the
    table a step reads one row per hypothesis.
    """

    def __init__(self, decoder: SequenceDecoder) -> None:
        super().__init__(dtype=decoder.dtype_policy)
        self.decoder = decoder
        table = decoder.project(tf.range(decoder.vocabulary))
        self.table = self.add_weight(shape=table.shape, trainable=False, name="table")
        self.table.assign(table)
        self.built = True

    def prepare_search(self, memory: Memory) -> tuple[Step, Any, Cache]:
        """Return the step function, its initial state and its memory, for `models.search`."""
        step, state, cache = self.decoder.prepare_search(
            memory, lambda tokens: tf.gather(self.table, tokens)
        )

        def fast_step(*arguments: Any) -> tuple[tf.Tensor, Any, tf.Tensor]:
            with override_product(_fast_product):
                return step(*arguments)

        return fast_step, state, cache


def _fast_product(x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """Return `product`, with a batch of one as a plain product, which is faster."""
    if kernel.shape.rank == 2:
        return product(x, kernel)
    return tf.cond(
        tf.shape(kernel)[0] == 1,
        lambda: product(x[0], kernel[0])[tf.newaxis],
        lambda: product(x, kernel),
    )
