"""The stages of training: cross-entropy, then optionally self-critical training (SCST)."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

import keras
import tensorflow as tf

from pipelines.config.monitor import LOSS, rank
from pipelines.config.run_directory import SELF_CRITICAL
from pipelines.runtime import cluster
from pipelines.tasks.assembly import Experiment
from pipelines.tasks.caption_head import CaptionHead
from pipelines.training.optimizer import training_policy
from pipelines.training.self_critical import SelfCritical
from pipelines.training.tensorboard import SampleLog, write_hyperparameters
from pipelines.training.trainer import Trainer, Validate


def train(
    experiment: Experiment,
    folder: Path,
    strategy: tf.distribute.Strategy,
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> list[dict[str, float]]:
    """Train all stages and load the best weights; return the history."""
    warned, samples = set[str](), SampleLog(experiment)

    def validate(epoch: int) -> Mapping[str, float]:
        evaluation, loss = experiment.validate(epoch)
        print(f"  validation: loss {loss:.3f}  {evaluation}")
        if cluster.read().chief:
            samples.write(evaluation)
        if epoch:  # after one epoch a model may well predict the same for all
            for text in evaluation.warnings():
                if text not in warned:
                    print(text)
                warned.add(text)
        return {LOSS: loss, **evaluation.summary()}

    steps = experiment.steps_per_epoch()
    trainer = Trainer(experiment.model, experiment.config, folder, steps, strategy)
    with trainer.writer.as_default(step=0):
        write_hyperparameters(experiment.config)
    trainer.fit(experiment.batches, validate, experiment.head.monitor, callbacks)
    history = trainer.history
    if experiment.config.scst_epochs and not getattr(experiment.model, "stop_training", False):
        history += _train_self_critical(experiment, folder, trainer, validate, callbacks)
    return history


def _train_self_critical(
    experiment: Experiment,
    folder: Path,
    trainer: Trainer,
    validate: Validate,
    callbacks: Sequence[keras.callbacks.Callback],
) -> list[dict[str, float]]:
    """Train on rewards, load the best weights of both stages, return this stage's records."""
    config, head = experiment.config, experiment.head
    assert isinstance(head, CaptionHead)  # other tasks do not have the option
    print("  self-critical training (SCST) on CIDEr-D + BLEU-4")
    last = len(trainer.history) - 1
    table = experiment.source.table(config.train_split, last)
    sampler = SelfCritical(
        experiment.model,
        head.examples(table),
        table,
        head.options,
        seed=config.seed,
        policy=training_policy(config.precision),
    )
    stage_config = dataclasses.replace(
        config,
        epochs=config.scst_epochs,
        patience=config.scst_epochs,
        learning_rate=config.scst_learning_rate,
        fine_tune_from=None,
        scheduled_sampling=0.0,
        label_smoothing=0.0,
    )
    stage = Trainer(experiment.model, stage_config, folder / SELF_CRITICAL, sampler.steps_per_epoch)
    stage.fit(sampler.batches, lambda _: validate(last), head.monitor, callbacks, last + 1)
    best = [max(rank(record, head.monitor) for record in it.history) for it in (trainer, stage)]
    if best[0] > best[1]:
        trainer.load_best()
    else:
        trainer.best.save()  # `load_best` reads it
    records = [{**record, "epoch": record["epoch"] + last + 1} for record in stage.history]
    for record in records:
        del record["loss"]  # the loss of advantages stays around 0
    return records
