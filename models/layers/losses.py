"""The training loss."""

from __future__ import annotations

import tensorflow as tf


def cross_entropy(logits: tf.Tensor, targets: tf.Tensor, smoothing: float = 0.0) -> tf.Tensor:
    """Return the cross-entropy with smoothed targets (Szegedy et al. 2016), one value per word.

    The target distribution has 1 - ε on the true word and ε / V on each of the V words:
    L = logΣexp(z) - (1 - ε) z_y - ε mean(z). The `[words, V]` targets are never built.

    Computed in float32 at least.

    Args:
        logits: `[words, V]`.
        targets: int32 `[words]`.
        smoothing: ε in [0, 1).
    """
    if logits.dtype.size < 4:
        logits = tf.cast(logits, tf.float32)
    loss = tf.nn.sparse_softmax_cross_entropy_with_logits(targets, logits)
    if smoothing:
        # TensorFlow's loss is logΣexp(z) - z_y; smoothing adds ε (z_y - mean(z)).
        true_logits = tf.gather(logits, targets, axis=1, batch_dims=1)
        loss += smoothing * (true_logits - tf.reduce_mean(logits, axis=-1))
    return loss
