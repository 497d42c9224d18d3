"""What training minimises."""

from __future__ import annotations

import tensorflow as tf


def cross_entropy(logits: tf.Tensor, targets: tf.Tensor, smoothing: float = 0.0) -> tf.Tensor:
    """Cross-entropy against smoothed targets (Szegedy et al. 2016), one value a word.

    The target distribution is (1 - ε) on the right word and ε spread evenly over all V:
    L = logΣexp(z) - (1 - ε) z_y - ε mean(z). No `[words, V]` target is ever made.

    Args:
        logits: float32 `[words, V]`.
        targets: int32 `[words]`.
        smoothing: ε in [0, 1).

    Returns:
        float32 `[words]`.
    """
    loss = tf.nn.sparse_softmax_cross_entropy_with_logits(targets, logits)
    if smoothing:
        # The library's loss is logΣexp(z) - z_y; moving ε of the target to the mean adds this.
        right = tf.gather(logits, targets, axis=1, batch_dims=1)
        loss += smoothing * (right - tf.reduce_mean(logits, axis=-1))
    return loss
