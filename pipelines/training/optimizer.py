"""How weights move: AdamW under a warm-up and a cosine, their running average beside them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from pipelines.config.config import Config


def precision(config: Config) -> tf.DType:
    """Return the type of matrix products in training: bfloat16 where hardware multiplies it.

    Decided by what the processor says of itself, not by a race, so that a run that is interrupted
    goes on with the same numbers. Exports always compute in float32.
    """
    if config.precision != "auto":
        return tf.as_dtype(config.precision)
    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        details = tf.config.experimental.get_device_details(gpus[0])
        fast = details.get("compute_capability", (0, 0)) >= (8, 0)
    else:
        cpuinfo = Path("/proc/cpuinfo")
        flags = cpuinfo.read_text() if cpuinfo.exists() else ""
        fast = "avx512_bf16" in flags or "amx_bf16" in flags
    return tf.bfloat16 if fast else tf.float32


def adamw(
    config: Config, rate: float, steps: int, weight_decay: float
) -> keras.optimizers.Optimizer:
    """Return AdamW (Loshchilov & Hutter 2019): linear warm-up, then a cosine to 2 % at `steps`."""
    warmup = min(config.warmup_steps, steps // 2)
    schedule = keras.optimizers.schedules.CosineDecay(
        0.0 if warmup else rate,
        max(1, steps - warmup),
        alpha=0.02,
        warmup_target=rate if warmup else None,
        warmup_steps=warmup,
    )
    optimizer = keras.optimizers.AdamW(schedule, weight_decay=weight_decay)
    kept = ["bias", "gamma", "beta"] + ["place"] * config.position_init
    optimizer.exclude_from_weight_decay(var_names=kept)
    return optimizer


class MovingAverage(tf.Module):
    """An exponential moving average of weights (Polyak & Juditsky 1992).

    The decay grows as (1 + n) / (10 + n) up to `decay`, so that the first average is not the
    random start.
    """

    def __init__(self, variables: Sequence[Any], decay: float) -> None:
        """Start from the variables' values."""
        super().__init__()
        self.decay = decay
        self.variables_ = list(variables)
        self.averages = [tf.Variable(v.value, trainable=False) for v in variables]

    def update(self, step: tf.Tensor) -> None:
        """Move towards the present values, after step number `step` (from 1)."""
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
