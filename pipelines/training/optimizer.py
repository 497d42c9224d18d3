"""The optimizer: AdamW with warm-up and cosine decay, and a moving average of the weights."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import keras
import tensorflow as tf

from models.layers.linear import ProductPolicy


def training_policy(precision: str) -> keras.DTypePolicy:
    """Return the policy of training: float32, with matrix products of this precision.

    "auto" is bfloat16 if the hardware has it, else float32.

    It depends on what the processor supports, not on a measurement, so that an interrupted run
    resumes with the same numbers. Exports always compute in float32.
    """
    if precision != "auto":
        return ProductPolicy(precision)
    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        details = tf.config.experimental.get_device_details(gpus[0])
        fast = details.get("compute_capability", (0, 0)) >= (8, 0)
    else:
        cpuinfo = Path("/proc/cpuinfo")
        flags = cpuinfo.read_text() if cpuinfo.exists() else ""
        fast = "avx512_bf16" in flags or "amx_bf16" in flags
    return ProductPolicy("bfloat16" if fast else "float32")


def adamw(
    learning_rate: float,
    steps: int,
    *,
    warmup_steps: int,
    weight_decay: float,
    decay_positions: bool = True,
) -> keras.optimizers.Optimizer:
    """Return AdamW (Loshchilov & Hutter 2019): linear warm-up, then a cosine to 2 % at `steps`.

    Args:
        learning_rate: the peak.
        steps: of the whole run.
        warmup_steps: at most half of `steps`.
        weight_decay: of all weights but biases and norms.
        decay_positions: whether it applies to position embeddings.
    """
    warmup = min(warmup_steps, steps // 2)
    schedule = keras.optimizers.schedules.CosineDecay(
        0.0 if warmup else learning_rate,
        max(1, steps - warmup),
        alpha=0.02,
        warmup_target=learning_rate if warmup else None,
        warmup_steps=warmup,
    )
    optimizer = keras.optimizers.AdamW(schedule, weight_decay=weight_decay)
    without_decay = ["bias", "gamma", "beta"] + ["place"] * (not decay_positions)
    optimizer.exclude_from_weight_decay(var_names=without_decay)
    return optimizer


class MovingAverage(tf.Module):
    """An exponential moving average of weights (Polyak & Juditsky 1992).

    The decay grows as (1 + n) / (10 + n) up to `decay`, so that the random initial weights soon
    have no influence.
    """

    def __init__(self, variables: Sequence[keras.Variable], decay: float) -> None:
        super().__init__()
        self.decay = decay
        self.variables_ = list(variables)
        self.averages = [tf.Variable(v.value, trainable=False) for v in variables]

    def update(self, step: tf.Tensor) -> None:
        """Update the averages after step number `step`, counted from 1."""
        n = tf.cast(step, tf.float32)
        decay = tf.minimum(self.decay, (1.0 + n) / (10.0 + n))
        for average, variable in zip(self.averages, self.variables_, strict=True):
            average.assign_sub((1.0 - decay) * (average - variable))

    def swap(self) -> None:
        """Exchange averages and weights; a second call undoes the first."""
        for average, variable in zip(self.averages, self.variables_, strict=True):
            value = tf.identity(variable.value)
            variable.assign(average)
            average.assign(value)
