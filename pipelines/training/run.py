"""A run from data to export; started again, it goes on where it was."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import tensorflow as tf

from data.annotations.problems import read_report, summary
from data.common.errors import UserError
from data.common.files import atomic_write
from data.sharding.datasets import license_of
from pipelines.config.config import Config
from pipelines.config.run_directory import open_run
from pipelines.runtime import cluster
from pipelines.runtime.memory import keep_freed_memory
from pipelines.tasks.assembly import _test_splits, assemble
from pipelines.training import distribution
from pipelines.training.self_critical import SelfCritical, stage
from pipelines.training.trainer import Trainer


def run(config: Config, run_dir: Path | None = None, command: str = "") -> Path:
    """Prepare, train, evaluate, export and report.

    Args:
        config: every choice.
        run_dir: where all that the run makes is kept; by default a folder under `runs/` named by
            the configuration, so that the same command finds it again.
        command: what was typed, for the report.

    Returns:
        The run directory: config.json, the words or labels, checkpoints/, best/, tensorboard/,
        predictions-<split>.*, metrics.json, report.html, export/<version>/.

    Raises:
        UserError: for data that cannot be used, a directory of another run or of other data, or a
            full disk.
    """
    strategy = distribution.strategy()
    folder = open_run(config, run_dir)
    if (folder / "metrics.json").exists():
        print(f"This run is complete; remove {folder} to train anew.")
        print((folder / "summary.txt").read_text(encoding="utf-8"), end="")
        return folder
    keep_freed_memory()
    tf.config.experimental.enable_op_determinism()
    if config.scst_epochs and strategy.num_replicas_in_sync > 1:
        raise UserError("--scst-epochs learns on one machine with one GPU: go on there with it")
    with distribution.writable(folder) as own, distribution.scope(strategy):
        model, head, source = assemble(config, own)
    history = _train(config, folder, model, head, source, strategy)
    if not cluster.read().chief:
        return folder
    evaluations = [
        head.evaluate(model, source, split, config.epochs - 1)
        for split in _test_splits(config, source.prepared.splits)
    ]
    return _finish(config, folder, model, head, source, history, evaluations, command)


def _train(
    config: Config, folder: Path, model: Any, head: Any, source: Any, strategy: Any
) -> list[dict[str, float]]:
    """Train, with the self-critical stage if asked; return the history, leave the best weights."""

    def validate(epoch: int) -> dict[str, float]:
        evaluation = head.evaluate(model, source, config.validation_split, epoch)
        print(f"  validation: {evaluation}")
        if epoch:  # after one epoch a model may well say little
            _warnings([evaluation])
        return evaluation.summary()

    first = Trainer(model, config, folder, head.steps_per_epoch(source), strategy)
    first.fit(
        lambda epoch, skip: head.batches(source, epoch, skip),
        lambda: validate(len(first.history)),
        head.monitor,
    )
    if not config.scst_epochs:
        return first.history
    last = len(first.history) - 1
    print("  now from captions of its own, by their CIDEr-D and BLEU-4")
    table = source.table(config.train_split, source.tuned(last))
    critic = SelfCritical(model, head.examples(source), table, config)
    second = Trainer(model, stage(config), folder / "self-critical", critic.steps_per_epoch)
    second.fit(critic.batches, lambda: validate(last), head.monitor)
    best = [max(record[head.monitor] for record in it.history) for it in (first, second)]
    if best[0] > best[1]:
        first.load_best()
    else:
        first.best.save()  # where all look for a run's best weights
    polished = [{**record, "epoch": record["epoch"] + last + 1} for record in second.history]
    for record in polished:
        del record["loss"]  # of advantages: around 0, whatever is learned
    return first.history + polished


def _warnings(evaluations: list[Any]) -> list[str]:
    """Return, and print, what is wrong with what the model says."""
    texts = [text for evaluation in evaluations for text in evaluation.warnings()]
    for text in texts:
        print(text)
    return texts


def _finish(
    config: Config,
    folder: Path,
    model: Any,
    head: Any,
    source: Any,
    history: list[dict[str, float]],
    evaluations: list[Any],
    command: str,
) -> Path:
    """Write what a finished run leaves: predictions, export, report, metrics, in that order."""
    for evaluation in evaluations:
        evaluation.write(folder)
    metrics = {e.split: {**e.summary(), "signature": e.signature} for e in evaluations}
    info = {
        "config": json.loads(config.to_json()),
        "metrics": metrics,
        "command": command,
        "licence": license_of(config.data),
    }
    exported = head.export(model, source, folder / "export", info)
    problems = source.prepared.problems
    notes = [*_warnings(evaluations), *source.notes]
    if problems.exists() and (found := read_report(problems)):
        notes.append(f"Problems in the data: {summary(found)}; see {problems}")
    head.report(
        folder / "report.html",
        source,
        config=config,
        history=history,
        evaluations=evaluations,
        notes=notes,
        command=command,
        export=exported,
    )
    text = _summary(evaluations, folder, exported)
    with atomic_write(folder / "summary.txt") as file:
        file.write(text)
    with atomic_write(folder / "metrics.json") as file:  # last: its presence says the run is over
        json.dump({"history": history, "splits": metrics}, file, indent=2)
    print(text, end="")
    return folder


def _summary(evaluations: list[Any], folder: Path, exported: Path) -> str:
    """Return what a person wants to see at the end."""
    lines = [line for evaluation in evaluations for line in ("", *evaluation.lines())]
    lines += ["", f"report  {folder / 'report.html'}", f"export  {exported}", ""]
    return "\n".join(lines)
