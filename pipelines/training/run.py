"""A run from data to export; the same command resumes it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import tensorflow as tf

from data.common.errors import UserError
from pipelines.config.config import Config
from pipelines.config.run_directory import SELF_CRITICAL, is_complete
from pipelines.config.stored_runs import older_checkpoints
from pipelines.runtime import cluster
from pipelines.runtime.memory import keep_freed_memory
from pipelines.task_models.runs import save_architecture
from pipelines.tasks.assembly import build, init_weights, prepare
from pipelines.training import distribution, start
from pipelines.training.callbacks import load_callbacks
from pipelines.training.results import write_export, write_metrics, write_report
from pipelines.training.stages import train
from pipelines.training.tensorboard import Profiler, write_scores


def run(
    config: Config,
    folder: Path,
    command: str = "",
    *,
    callbacks: Sequence[str] = (),
    profile: bool = False,
    dry_run: bool = False,
) -> None:
    """Prepare the data, train, evaluate, export and report.

    The run directory then has config.json, model.json, the vocabularies or labels, checkpoints/,
    best/, tensorboard/, predictions-<split>.*, metrics.json, report.html and export/<version>/.

    Args:
        config: of the run.
        folder: the run directory, as `open_run` returns it.
        command: the command line, for the report.
        callbacks: import paths of Keras callbacks, see `load_callbacks`.
        profile: whether to profile a few training steps.
        dry_run: whether to stop before training; nothing is written to the directory.

    Raises:
        UserError: for unusable data, a directory of another run or of other data, or a full disk.
    """
    if is_complete(folder, config):
        print(f"This run is complete; raise --epochs to continue it, or remove {folder}.")
        print((folder / "summary.txt").read_text(encoding="utf-8"), end="")
        if cluster.read().chief:
            _note_changes(config, folder)
        return
    began, resumed = time.monotonic(), (folder / "checkpoints" / "checkpoint").exists()
    logs = folder / "tensorboard"
    strategy = _start(self_critical=config.scst_epochs > 0)
    called = [*load_callbacks(callbacks), *([Profiler(logs)] if profile else [])]
    prepared = prepare(config)
    with distribution.writable_folder(folder, dry_run) as own, distribution.scope(strategy):
        experiment = build(config, prepared, own)
        init_weights(experiment)
    if cluster.read().chief:
        print(*start.summary(experiment, folder), sep="\n")
    if dry_run:
        return
    if cluster.read().chief:
        save_architecture(experiment.model, folder)
    history = train(experiment, folder, strategy, called)
    if not cluster.read().chief:
        return
    evaluations = [experiment.evaluate(split) for split in experiment.test_splits]
    export = write_export(experiment, folder, evaluations, command)
    facts = start.facts(time.monotonic() - began, resumed)
    write_report(experiment, folder, evaluations, history, command, export, facts)
    write_scores(logs, {each.split: each.summary() for each in evaluations}, len(history))
    write_metrics(folder, evaluations, history, export)
    for stage in (folder, folder / SELF_CRITICAL):
        for path in older_checkpoints(stage):  # each takes four times the space of the weights
            path.unlink()


def _note_changes(config: Config, folder: Path) -> None:
    """Print what has changed since a complete run began: its data, weights or word vectors."""
    try:
        build(config, prepare(config), folder)
    except UserError as error:
        print(f"note: the scores above are not of the present data: {error}")


def _start(*, self_critical: bool) -> tf.distribute.Strategy:
    """Return the strategy of this process, and make TensorFlow deterministic."""
    strategy = distribution.make_strategy()
    keep_freed_memory()
    tf.config.experimental.enable_op_determinism()
    if self_critical and strategy.num_replicas_in_sync > 1:
        raise UserError(
            "--scst-epochs needs one machine with one GPU: resume the run there with it"
        )
    return strategy
