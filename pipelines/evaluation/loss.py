"""The loss on a split of captions: teacher forcing without dropout, smoothing or random numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from models.encoder_head import EncoderHead
from models.layers.losses import cross_entropy
from models.tokens import PAD
from pipelines.inputs.batches import Captions, compile_by_rank
from pipelines.inputs.tables import Table, pad

CAPTIONS = 256  # in a batch


def compile_loss(model: EncoderHead) -> Callable[[Any], tf.Tensor]:
    """Return (inputs, tokens, example index) → the sum over the next words, see `caption_loss`.

    The model ends in a `SequenceDecoder`.
    """

    @compile_by_rank
    def summed(batch: Any) -> tf.Tensor:
        inputs, tokens, example_index = batch
        following = tokens[:, 1:]
        is_word = tf.not_equal(following, PAD)
        outputs = model.head.teacher_force(model.encode(inputs), tokens[:, :-1], example_index)
        logits = model.head.compute_logits(tf.boolean_mask(outputs, is_word))
        return tf.reduce_sum(cross_entropy(logits, tf.boolean_mask(following, is_word)))

    return summed


def caption_loss(summed: Callable[[Any], tf.Tensor], captions: Captions, table: Table) -> float:
    """Return the mean cross-entropy of the next words of all captions, with a `compile_loss`."""
    total, words = 0.0, 0
    for start in range(0, len(captions.tokens), CAPTIONS):
        tokens = pad(captions.tokens[start : start + CAPTIONS])
        rows, index = np.unique(captions.rows[start : start + CAPTIONS], return_inverse=True)
        total += float(summed((table.read(rows), tokens, index.astype(np.int32))))
        words += int((tokens[:, 1:] != PAD).sum())
    return total / words
