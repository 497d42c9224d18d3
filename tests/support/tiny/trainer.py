"""A model so small that a test can train it in a process of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

import pipelines.training.trainer
from models.encoder_head import EncoderHead
from models.encoders.image import ImageEncoder
from models.heads.sequence_decoder import SequenceDecoder
from pipelines.config.config import Config
from pipelines.training.trainer import Trainer

STEPS, BATCH, VOCABULARY = 6, 8, 12


def batches(epoch: int, skip: int) -> list[tuple[tf.Tensor, Any]]:
    """Return images whose brightness determines the first word."""
    made = []
    for number in range(skip, STEPS):
        rng = np.random.default_rng([epoch, number])
        words = rng.integers(4, VOCABULARY, (BATCH, 3))
        images = np.repeat(words[:, 0] * 20.0, 16 * 16 * 3).reshape(BATCH, 16, 16, 3)
        tokens = np.pad(words, ((0, 0), (1, 1)), constant_values=((0, 0), (1, 2)))
        targets = tf.constant(tokens, tf.int32), tf.range(BATCH)
        made.append((tf.constant(images, tf.float32), targets))
    return made


def trainer(run_dir: Path, **options: Any) -> Trainer:
    chosen: dict[str, Any] = {
        "units": 8,
        "dropout": 0.3,
        "epochs": 4,
        "warmup_steps": 2,
        "patience": 9,
    }
    config = Config(**(chosen | {"fine_tune_from": 2} | options))
    return Trainer(captioner(config), config, run_dir, STEPS)


def captioner(config: Config) -> EncoderHead:
    keras.utils.set_random_seed(5)
    backbone = keras.Sequential(
        [
            keras.Input((16, 16, 3)),
            keras.layers.Conv2D(4, 8, 8),
            keras.layers.BatchNormalization(trainable=False),
        ]
    )
    encoder = ImageEncoder(8, config.dropout)
    encoder.build((None, 2 * 2, 4))
    return EncoderHead(
        backbone,
        encoder,
        SequenceDecoder(VOCABULARY, units=8, embedding=8, dropout=config.dropout),
    )


def weight_sum(it: Trainer) -> dict[str, float]:
    return {"score": float(sum(tf.reduce_sum(v) for v in it.step.head_variables))}


def main(run_dir: str) -> None:
    """Train as a process of its own, a checkpoint at every step, slowly enough to be killed."""

    pipelines.training.trainer.SAVE_EVERY = 0.0
    tf.config.experimental.enable_op_determinism()
    it = trainer(Path(run_dir), scheduled_sampling=0.3)
    it.fit(batches, lambda _: weight_sum(it), "score")


def newest(run_dir: Path) -> int:
    """Return the number of the newest checkpoint, 0 if there is none."""
    names = [path.stem for path in (run_dir / "checkpoints").glob("ckpt-*.index")]
    return max((int(name.removeprefix("ckpt-")) for name in names), default=0)
