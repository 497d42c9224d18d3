"""A run from data to export; the same command resumes it."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import tensorflow as tf

from data.annotations.problems import read_report, summary
from data.common.errors import UserError
from data.common.files import atomic_write
from data.sharding.datasets import license_of
from pipelines.config.config import Config
from pipelines.reports.page import RunFacts
from pipelines.runtime import cluster
from pipelines.runtime.memory import keep_freed_memory
from pipelines.tasks.assembly import Experiment, build, prepare
from pipelines.tasks.protocols import Evaluation
from pipelines.training import distribution
from pipelines.training.self_critical import train_self_critical
from pipelines.training.trainer import Trainer


def run(config: Config, folder: Path, command: str = "") -> None:
    """Prepare the data, train, evaluate, export and report.

    The run directory then has config.json, the vocabularies or labels, checkpoints/, best/,
    tensorboard/, predictions-<split>.*, metrics.json, report.html and export/<version>/.

    Args:
        config: every choice.
        folder: the run directory, as `open_run` returns it.
        command: the command line, for the report.

    Raises:
        UserError: for data that cannot be used, a directory of another run or of other data, or a
            full disk.
    """
    if (folder / "metrics.json").exists():
        print(f"This run is complete; remove {folder} to train it again.")
        print((folder / "summary.txt").read_text(encoding="utf-8"), end="")
        return
    strategy = _start(self_critical=config.scst_epochs > 0)
    prepared = prepare(config)
    with distribution.writable_folder(folder) as own, distribution.scope(strategy):
        experiment = build(config, prepared, own)
    history = train(experiment, folder, strategy)
    if not cluster.read().chief:
        return
    evaluations = [experiment.evaluate(split) for split in experiment.test_splits]
    export = _export(experiment, folder, evaluations, command)
    _report(experiment, folder, evaluations, history, command, export)
    _write_metrics(folder, evaluations, history, export)


def _start(*, self_critical: bool) -> tf.distribute.Strategy:
    """Return how this process trains, and set TensorFlow up for a run that can be repeated."""
    strategy = distribution.make_strategy()
    keep_freed_memory()
    tf.config.experimental.enable_op_determinism()
    if self_critical and strategy.num_replicas_in_sync > 1:
        raise UserError(
            "--scst-epochs needs one machine with one GPU: resume the run there with it"
        )
    return strategy


def train(
    experiment: Experiment, folder: Path, strategy: tf.distribute.Strategy
) -> list[dict[str, float]]:
    """Train, with the self-critical stage if asked for; return the history, load the best weights.

    Args:
        experiment: what to train.
        folder: the run directory.
        strategy: see `pipelines.training.distribution`.
    """

    def validate(epoch: int) -> Mapping[str, float]:
        evaluation = experiment.evaluate(experiment.config.validation_split, epoch)
        print(f"  validation: {evaluation}")
        if epoch:  # after one epoch a model may well predict the same for all
            _print_warnings([evaluation])
        return evaluation.summary()

    steps = experiment.steps_per_epoch()
    trainer = Trainer(experiment.model, experiment.config, folder, steps, strategy)
    trainer.fit(experiment.batches, validate, experiment.head.monitor)
    history = trainer.history
    if experiment.config.scst_epochs:
        history += train_self_critical(experiment, folder, trainer, validate)
    return history


def _print_warnings(evaluations: Sequence[Evaluation]) -> list[str]:
    """Print and return the warnings of evaluations."""
    warnings = [text for evaluation in evaluations for text in evaluation.warnings()]
    for text in warnings:
        print(text)
    return warnings


def _export(
    experiment: Experiment, folder: Path, evaluations: Sequence[Evaluation], command: str
) -> Path:
    """Write the predictions and the export; return the version's folder."""
    for evaluation in evaluations:
        evaluation.write(folder / evaluation.file_name)
    info = {
        "config": dataclasses.asdict(experiment.config),
        "metrics": _scores(evaluations),
        "command": command,
        "licence": license_of(experiment.config.data),
    }
    return experiment.export(folder / "export", info)


def _report(
    experiment: Experiment,
    folder: Path,
    evaluations: Sequence[Evaluation],
    history: Sequence[Mapping[str, float]],
    command: str,
    export: Path,
) -> None:
    """Write report.html, with all notes and warnings."""
    problems = experiment.source.prepared.problems
    notes = [*_print_warnings(evaluations), *experiment.source.notes, *experiment.head.notes]
    if problems.exists() and (found := read_report(problems)):
        notes.append(f"Problems in the data: {summary(found)}; see {problems}")
    facts = RunFacts(experiment.config, history, notes, command, export)
    experiment.report(folder / "report.html", evaluations, facts)


def _write_metrics(
    folder: Path,
    evaluations: Sequence[Evaluation],
    history: Sequence[Mapping[str, float]],
    export: Path,
) -> None:
    """Write summary.txt and metrics.json, and print the summary."""
    lines = [line for evaluation in evaluations for line in ("", *evaluation.lines())]
    lines += ["", f"report  {folder / 'report.html'}", f"export  {export}", ""]
    text = "\n".join(lines)
    with atomic_write(folder / "summary.txt") as file:
        file.write(text)
    with atomic_write(folder / "metrics.json") as file:  # last: it marks the run as complete
        json.dump({"history": history, "splits": _scores(evaluations)}, file, indent=2)
    print(text, end="")


def _scores(evaluations: Sequence[Evaluation]) -> dict[str, dict[str, float | str]]:
    """Return the scores of each split, as metrics.json and wordreel.json have them."""
    return {each.split: {**each.summary(), "signature": each.signature} for each in evaluations}
