"""Self-critical training: captions that the model draws, weighed against each other.

Cross-entropy teaches the next word of somebody else's sentence; scores judge whole sentences of
the model's own. Rennie et al. (2017, "Self-critical Sequence Training") follow the gradient of the
expected score itself (Williams 1992): draw captions w of a picture, and weigh each one's
log-likelihood by its advantage, its reward less what the other draws had (Luo 2020):

    L = -Σ_k A_k log p(w_k),    A_k = r_k - mean of r_j, j ≠ k

That is the training loss on other captions with a weight each, so the training loop is the same.
Captions are drawn from sharpened probabilities, p^(1/τ) with τ = 0.5: from p itself, most of what
is drawn is poor, each further word makes it poorer, and captions shrink.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from data.media.vocabulary import PAD, START
from models.layers.linear import matmul_precision
from models.search.hypotheses import SearchOptions
from models.search.sampling import sample
from pipelines.config.config import Config
from pipelines.evaluation.metrics.bleu import sentence_bleu
from pipelines.evaluation.metrics.cider import CiderScorer
from pipelines.inputs.batches import Captions
from pipelines.inputs.tables import Table
from pipelines.training.optimizer import precision

PICTURES = 50  # a step
SAMPLES = 5  # captions drawn of a picture
TEMPERATURE = 0.5


def stage(config: Config) -> Config:
    """Return how the trainer runs this stage, after the one with cross-entropy."""
    return dataclasses.replace(
        config,
        epochs=config.scst_epochs,
        patience=config.scst_epochs,
        learning_rate=config.scst_learning_rate,
        fine_tune_from=None,
        scheduled_sampling=0.0,
        label_smoothing=0.0,
    )


class SelfCritical:
    """Draws captions of training pictures and weighs them."""

    def __init__(self, model: Any, captions: Captions, table: Table, config: Config) -> None:
        """Index the true captions.

        Args:
            model: an `EncoderHead` whose head is a sequence decoder.
            captions: the true ones, as ids.
            table: the rows of their pictures.
            config: of the run.
        """
        self.model, self.table, self.config = model, table, config
        self.rows, items = np.unique(captions.rows, return_inverse=True)
        self.references: list[list[list[int]]] = [[] for _ in self.rows]
        for item, tokens in zip(items, captions.tokens, strict=True):
            self.references[item].append(tokens[1:].tolist())  # END is a word of the reward
        self.cider = CiderScorer(self.references)
        self.steps_per_epoch = -(-len(self.rows) // PICTURES)
        options = SearchOptions(max_words=config.max_words, min_words=config.min_words)

        @tf.function(reduce_retracing=True)
        def draw(rows: Any, seed: tf.Tensor) -> tf.Tensor:
            with matmul_precision(precision(config)):
                memory = model.encode(rows)
                step, state, cache = model.head.prepare_search(memory)
                batch = tf.shape(memory.summary)[0]
                drawn = sample(
                    step, state, cache, batch, options, seed, TEMPERATURE, samples=SAMPLES
                )
                return drawn.tokens

        self.draw = draw

    def batches(self, epoch: int, skip: int) -> Iterator[tuple[Any, Any]]:
        """Yield an epoch's batches from number `skip` on, drawn from the model as it then is.

        Yields:
            `(rows, (tokens, owners, weights))` as `SequenceDecoder.loss` takes them: captions
            drawn, int32 `[captions, time]`, and their advantages, float32 `[captions]`.
        """
        seed = self.config.seed
        order = np.random.default_rng([seed, epoch]).permutation(len(self.rows))
        for number in range(skip, self.steps_per_epoch):
            items = order[number * PICTURES : (number + 1) * PICTURES]
            chance = np.random.default_rng([seed, epoch, number])
            rows = self.table.read(self.rows[items], chance)
            rows = tf.nest.map_structure(tf.constant, rows)
            draws = (seed << 32) + epoch * self.steps_per_epoch + number
            tokens = self.draw(rows, tf.constant(draws, tf.int64)).numpy()
            tokens = tokens.reshape(-1, tokens.shape[-1])
            tokens = tokens[:, : (tokens != PAD).any(axis=0).sum()]
            weights = advantages(self.reward(tokens, np.repeat(items, SAMPLES)))
            starts = np.full((len(tokens), 1), START, np.int32)
            owners = np.repeat(np.arange(len(items), dtype=np.int32), SAMPLES)
            targets = np.concatenate([starts, tokens], axis=1), owners, weights
            yield rows, tuple(map(tf.constant, targets))

    def reward(self, tokens: np.ndarray, items: np.ndarray) -> np.ndarray:
        """Return CIDEr-D plus BLEU-4 of each caption, both with END: float64 `[captions]`.

        CIDEr-D alone is content with short captions; BLEU-4 punishes them.
        """
        captions = [row[row != PAD].tolist() for row in tokens]
        _, cider = self.cider.score(captions, items.tolist())
        pairs = zip(captions, items, strict=True)
        return cider + np.array([sentence_bleu(c, self.references[item]) for c, item in pairs])


def advantages(rewards: np.ndarray) -> np.ndarray:
    """Return each reward less the mean of the other draws of its picture: float32.

    >>> advantages(np.array([1.0, 0, 0, 0, 1, 2, 2, 2, 2, 2]))
    array([ 0.75, -0.5 , -0.5 , -0.5 ,  0.75,  0.  ,  0.  ,  0.  ,  0.  ,
            0.  ], dtype=float32)
    """
    rewards = rewards.reshape(-1, SAMPLES)
    others = (rewards.sum(axis=1, keepdims=True) - rewards) / (SAMPLES - 1)
    return (rewards - others).astype(np.float32).ravel()
