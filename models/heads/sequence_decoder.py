"""Memory → words: one set of weights, one step, for training and for search."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from models.heads.decoder_cells import DECODERS, Cache
from models.layers.linear import Linear, matmul, product, products_by, rounded
from models.layers.losses import cross_entropy
from models.memory import Memory
from models.search.hypotheses import Step
from models.tokens import PAD

MAX_TABLE = 1 << 27  # bytes, of what a folded decoder stores: some 14,000 words of 512 units


@keras.saving.register_keras_serializable(package="wordreel")
class SequenceDecoder(keras.layers.Layer):
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
        **kwargs: Any,
    ) -> None:
        """Make a decoder.

        Args:
            vocabulary: number of word ids.
            decoder: a name in `models.heads.decoder_cells.DECODERS`.
            cell: a name in `models.layers.cells.CELLS`.
            units: hidden units of the cells; the attention compares in half as many dimensions.
            embedding: width d of a word vector.
            dropout: share of word vectors' and outputs' values dropped in training.
            kwargs: of `keras.layers.Layer`.

        Raises:
            ValueError: if there is no such decoder or cell.
        """
        super().__init__(**kwargs)
        if decoder not in DECODERS:
            raise ValueError(f"unknown decoder {decoder!r}; known: {', '.join(DECODERS)}")
        self.vocabulary, self.decoder = vocabulary, decoder
        self.units, self.depth, self.rate = units, embedding, dropout
        self.cell = DECODERS[decoder](units, cell, name=decoder.replace("-", "_"))
        self.to_embedding = Linear(embedding, name="to_embedding")
        self.drop_words = keras.layers.Dropout(dropout)
        self.drop_outputs = keras.layers.Dropout(dropout)
        self.sampler = keras.random.SeedGenerator()

    def build(self, memory_depth: int) -> None:
        """Create the weights for a memory of `memory_depth` dimensions."""
        self.embedding = self.add_weight(
            shape=(self.vocabulary, self.depth),
            initializer=keras.initializers.RandomNormal(stddev=self.depth**-0.5),
            name="embedding",
        )
        self.bias = self.add_weight(shape=(self.vocabulary,), initializer="zeros", name="bias")
        self.cell.build(self.depth, memory_depth)
        self.to_embedding.build((None, self.cell.output_depth))
        self.built = True

    def prepare_search(self, memory: Memory) -> tuple[Step, Any, Cache]:
        """Return the step function, its first state and its memory, for `models.search`."""
        return self.start_with(self.project, memory)

    def start_with(
        self, project: Callable[[tf.Tensor], tf.Tensor], memory: Memory
    ) -> tuple[Step, Any, Cache]:
        """Return what `start` does, with another way to `project`."""
        cache = self.cell.prepare(memory)
        cache = cache._replace(values=rounded(cache.values))  # once, not at every step
        return functools.partial(self._step, project), self.cell.initial_state(memory), cache

    def project(self, tokens: tf.Tensor) -> tf.Tensor:
        """Return W_x x, what each word brings to its step: int32 `[...]` → `[..., width]`."""
        return self.cell.project(self._embed(tokens))

    def optimize_for_inference(self) -> SequenceDecoder | FoldedDecoder:
        """Return a decoder that searches alike, sooner, and learns nothing.

        With very many words it is this one: their table would be too large.
        """
        row = self.project(tf.range(1))
        fits = self.vocabulary * row.shape[-1] * row.dtype.size <= MAX_TABLE
        return FoldedDecoder(self) if fits else self

    def loss(
        self,
        memory: Memory,
        targets: tuple[tf.Tensor, ...],
        *,
        smoothing: float = 0.0,
        sampling: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """Return the mean cross-entropy of each next word, in training; padding costs nothing.

        Args:
            memory: of `batch` pictures.
            targets: int32 `[rows, time]`: START, words, END, padding; int32 `[rows]`, the
                picture that each row is about; and, if rows do not all count alike, their
                weights, float32 `[rows]`.
            smoothing: see `models.layers.losses.cross_entropy`.
            sampling: share of input words replaced by the model's own, or None for none.

        Returns:
            float32 scalar.
        """
        tokens, example_index, *weights = targets
        inputs, nexts = tokens[:, :-1], tokens[:, 1:]
        if sampling is not None:
            inputs = self._sampled(memory, inputs, example_index, sampling)
        real = tf.not_equal(nexts, PAD)
        outputs = self.outputs(memory, inputs, example_index, training=True)
        logits = self.logits(tf.boolean_mask(outputs, real), training=True)
        losses = cross_entropy(logits, tf.boolean_mask(nexts, real), smoothing)
        for weight in weights:
            losses *= tf.gather(weight, tf.where(real)[:, 0])
        return tf.reduce_mean(losses)

    @staticmethod
    def target_weight(targets: tuple[tf.Tensor, ...]) -> tf.Tensor:
        """Return what `loss` divides its sum by, float32: the number of next words."""
        return tf.reduce_sum(tf.cast(tf.not_equal(targets[0][:, 1:], PAD), tf.float32))

    def outputs(
        self, memory: Memory, tokens: tf.Tensor, example_index: tf.Tensor, training: bool = False
    ) -> tf.Tensor:
        """Run over given words.

        Args:
            memory: of `batch` pictures.
            tokens: int32 `[rows, time]`, each the word before the one to be foretold.
            example_index: int32 `[rows]`, the picture that each row is about.
            training: whether to drop out word vectors.

        Returns:
            float32 `[rows, time, cell.output_depth]`, for `logits`.
        """
        embedded = self.drop_words(self._embed(tokens), training=training)
        return self.cell.unroll(embedded, memory, example_index)

    def logits(self, outputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Score every word: `[rows, cell.output_depth]` → `[rows, vocabulary]`."""
        outputs = self.drop_outputs(self.to_embedding(outputs), training=training)
        return matmul(outputs, tf.transpose(self.embedding)) + self.bias

    def _embed(self, tokens: tf.Tensor) -> tf.Tensor:
        return tf.gather(self.embedding, tokens) * self.depth**0.5

    def _step(
        self,
        project: Callable[[tf.Tensor], tf.Tensor],
        tokens: tf.Tensor,
        state: Any,
        cache: Cache,
    ) -> tuple[tf.Tensor, Any, tf.Tensor]:
        output, state, attention = self.cell.step(project(tokens), state, cache)
        return self.logits(output), state, attention

    def _sampled(
        self, memory: Memory, inputs: tf.Tensor, example_index: tf.Tensor, share: tf.Tensor
    ) -> tf.Tensor:
        """Replace a share of the input words by what the model would have said there.

        Scheduled sampling (Bengio et al. 2015) in two passes over all steps at once (Mihaylova &
        Martins 2019): the first foretells each word from the true ones before it.
        """
        outputs = self.outputs(memory, inputs, example_index)
        foretold = self.logits(tf.reshape(outputs, [-1, self.cell.output_depth]))
        words = tf.reshape(tf.argmax(foretold, axis=-1, output_type=tf.int32), tf.shape(inputs))
        words = tf.concat([inputs[:, :1], words[:, :-1]], axis=1)  # START stays
        chance = keras.random.uniform(tf.shape(inputs), seed=self.sampler)
        replace = (chance < share) & tf.not_equal(inputs, PAD)
        return tf.stop_gradient(tf.where(replace, words, inputs))

    def get_config(self) -> dict[str, Any]:
        """Return what `from_config` needs."""
        return {
            **super().get_config(),
            "vocabulary": self.vocabulary,
            "decoder": self.decoder,
            "cell": self.cell.cell_name,
            "units": self.units,
            "embedding": self.depth,
            "dropout": self.rate,
        }


class FoldedDecoder(keras.layers.Layer):
    """A `SequenceDecoder` that only searches: of each word it has stored what it brings to a step.

    With few rows a step takes as long as the weights take to be read. W_x is among the largest;
    of the table `[vocabulary, width]` of W_x x a step reads one row a hypothesis.
    """

    def __init__(self, decoder: SequenceDecoder) -> None:
        """Compute the table of a decoder, whose other weights are shared."""
        super().__init__()
        self.decoder = decoder
        table = decoder.project(tf.range(decoder.vocabulary))
        self.table = self.add_weight(shape=table.shape, trainable=False, name="table")
        self.table.assign(table)
        self.built = True

    def prepare_search(self, memory: Memory) -> tuple[Step, Any, Cache]:
        """Return the step function, its first state and its memory, for `models.search`."""
        step, state, cache = self.decoder.start_with(
            lambda tokens: tf.gather(self.table, tokens), memory
        )

        def quick_step(*given: Any) -> tuple[tf.Tensor, Any, tf.Tensor]:
            with products_by(_soonest):
                return step(*given)

        return quick_step, state, cache


def _soonest(x: tf.Tensor, kernel: Any) -> tf.Tensor:
    """Return `matmul`'s product; a batch of one without the detour that TensorFlow takes then."""
    x, kernel = rounded(x), rounded(kernel)
    if kernel.shape.rank == 2:
        return product(x, kernel)
    return tf.cond(
        tf.shape(kernel)[0] == 1,
        lambda: product(x[0], kernel[0])[tf.newaxis],
        lambda: product(x, kernel),
    )
