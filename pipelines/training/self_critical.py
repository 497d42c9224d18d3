"""Self-critical training: captions sampled from the model, weighted by their rewards.

Cross-entropy trains the prediction of the next word; metrics score whole captions.
Rennie et al. (2017, "Self-critical Sequence Training") follow the gradient of the expected score
itself (Williams 1992): sample captions w of an image, and weight the log-likelihood of each by its
advantage, its reward less the mean reward of the other samples (Luo 2020):

    L = -Σ_k A_k log p(w_k),    A_k = r_k - mean of r_j, j ≠ k

This is the training loss on sampled captions with a weight each, so the training loop is the same.
Captions are sampled from sharpened probabilities, p^(1/τ) with τ = 0.5: most samples of p itself
score low, longer ones lower, so that captions would become shorter.
"""

from __future__ import annotations

from collections.abc import Iterator

import keras
import numpy as np
import tensorflow as tf

from data.media.vocabulary import PAD, START
from models.encoder_head import EncoderHead
from models.layers.linear import use_policy
from models.search.hypotheses import SearchOptions
from models.search.sampling import sample
from pipelines.evaluation.metrics.bleu import sentence_bleu
from pipelines.evaluation.metrics.cider import CiderScorer
from pipelines.inputs.batches import Batch, Captions
from pipelines.inputs.tables import Table

EXAMPLES = 50  # images or clips per step
SAMPLES = 5  # captions sampled per example
TEMPERATURE = 0.5


class SelfCritical:
    """Samples captions of training examples and computes their weights."""

    def __init__(
        self,
        model: EncoderHead,
        captions: Captions,
        table: Table,
        options: SearchOptions,
        *,
        seed: int,
        policy: keras.DTypePolicy,
    ) -> None:
        """Index the references, `captions` of the inputs of `table`.

        `options` limit the lengths of captions; `policy` is that of training.
        """
        self.model, self.table, self.seed = model, table, seed
        self.rows, items = np.unique(captions.rows, return_inverse=True)
        self.references: list[list[list[int]]] = [[] for _ in self.rows]
        for item, tokens in zip(items, captions.tokens, strict=True):
            self.references[item].append(tokens[1:].tolist())  # END is a word of the reward
        self.cider = CiderScorer(self.references)
        self.steps_per_epoch = -(-len(self.rows) // EXAMPLES)
        lengths = SearchOptions(max_words=options.max_words, min_words=options.min_words)

        @tf.function(reduce_retracing=True, autograph=False)
        def sample_captions(rows: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
            with use_policy(model, policy):
                memory = model.encode(rows)
                step, state, cache = model.head.prepare_search(memory)
                batch = tf.shape(memory.summary)[0]
                sampled = sample(
                    step, state, cache, batch, lengths, seed, TEMPERATURE, samples=SAMPLES
                )
                return sampled.tokens

        self._sample = sample_captions

    def batches(self, epoch: int, skip: int) -> Iterator[Batch]:
        """Yield an epoch's batches from number `skip` on, sampled from the current model.

        The targets are those of `SequenceDecoder.loss`, weighted by their advantages.
        """
        order = np.random.default_rng([self.seed, epoch]).permutation(len(self.rows))
        for number in range(skip, self.steps_per_epoch):
            items = order[number * EXAMPLES : (number + 1) * EXAMPLES]
            rng = np.random.default_rng([self.seed, epoch, number])
            rows = tf.nest.map_structure(tf.constant, self.table.read(self.rows[items], rng))
            seed = (self.seed << 32) + epoch * self.steps_per_epoch + number
            tokens = self._sample(rows, tf.constant(seed, tf.int64)).numpy()
            tokens = tokens.reshape(-1, tokens.shape[-1])
            tokens = tokens[:, : (tokens != PAD).any(axis=0).sum()]
            weights = advantages(self.reward(tokens, np.repeat(items, SAMPLES)))
            starts = np.full((len(tokens), 1), START, np.int32)
            example_index = np.repeat(np.arange(len(items), dtype=np.int32), SAMPLES)
            targets = np.concatenate([starts, tokens], axis=1), example_index, weights
            yield rows, tuple(map(tf.constant, targets))

    def reward(self, tokens: np.ndarray, items: np.ndarray) -> np.ndarray:
        """Return CIDEr-D plus BLEU-4 of each caption, both with END: float64 `[captions]`.

        CIDEr-D alone favors short captions; BLEU-4 penalizes them.
        """
        captions = [row[row != PAD].tolist() for row in tokens]
        _, cider = self.cider.score(captions, items.tolist())
        pairs = zip(captions, items, strict=True)
        return cider + np.array([sentence_bleu(c, self.references[item]) for c, item in pairs])


def advantages(rewards: np.ndarray) -> np.ndarray:
    """Return each reward less the mean of the other samples of its example: float32.

    >>> advantages(np.array([1.0, 0, 0, 0, 1, 2, 2, 2, 2, 2]))
    array([ 0.75, -0.5 , -0.5 , -0.5 ,  0.75,  0.  ,  0.  ,  0.  ,  0.  ,
            0.  ], dtype=float32)
    """
    rewards = rewards.reshape(-1, SAMPLES)
    others = (rewards.sum(axis=1, keepdims=True) - rewards) / (SAMPLES - 1)
    return (rewards - others).astype(np.float32).ravel()
