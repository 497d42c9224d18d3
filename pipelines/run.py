"""A run from data to export; started again, it goes on where it was."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from data.errors import UserError, unknown
from data.files import atomic_write
from data.licences import licence_of
from data.problems import read_report, summary
from models.encoder_decoder import EncoderHead
from pipelines import cluster, distribution
from pipelines.config import Config, flag
from pipelines.image_source import whole_split
from pipelines.process_memory import keep_freed_memory
from pipelines.run_directory import check_data, open_run
from pipelines.self_critical import stage
from pipelines.tasks import TASKS
from pipelines.training import Trainer

SPLITS = ("train", "validation", "test", "unseen")  # that a recipe may name; not all datasets have


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
    if config.reward_epochs and strategy.num_replicas_in_sync > 1:
        raise UserError("--reward-epochs learns on one machine with one GPU: go on there with it")
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


def assemble(config: Config, folder: Path) -> tuple[Any, Any, Any]:
    """Return the model of a run, with random weights, its head and its source."""
    task = TASKS[config.task]
    source_class, head_class = task.source_class(), task.head_class()
    prepared = source_class.prepare(config)
    _check_splits(config, prepared.splits)
    keras.utils.set_random_seed(config.seed)
    head = head_class(config, prepared, folder)
    for split in {config.validation_split, *_test_splits(config, prepared.splits)}:
        if not head.told(split):
            raise UserError(
                f"{prepared.name}: no example of {split!r} has a {task.answer} that can be scored"
            )
    source = source_class(config, prepared, folder)
    check_data(folder, prepared.fingerprint)
    return EncoderHead(source.backbone, source.encoder, head.layer, source.top), head, source


def load_run(folder: Path, **changes: Any) -> tuple[Any, Any, Any]:
    """Return the best model of a run, its head and its source.

    Args:
        folder: of the run.
        changes: of its configuration, that leave the weights as they are.

    Raises:
        UserError: if there is no run with weights.
    """
    try:
        config = Config.from_json((folder / "config.json").read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{folder} is no run directory: config.json: {error.strerror}") from None
    except (TypeError, ValueError) as error:
        raise UserError(f"{folder} is no run directory: config.json: {error}") from None
    model, head, source = assemble(dataclasses.replace(config, **changes), folder)
    best = tf.train.latest_checkpoint(str(folder / "best"))
    if best is None:
        raise UserError(f"{folder} has no weights yet: it keeps the best after each epoch")
    tf.train.Checkpoint(model=model).restore(best).expect_partial()
    return model, head, source


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
    if not config.reward_epochs:
        return first.history
    last = len(first.history) - 1
    print("  now from captions of its own, by their CIDEr-D and BLEU-4")
    critic = head.critic(model, source, last)
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


def _check_splits(config: Config, splits: Any) -> None:
    """Refuse a split that cannot be used before any work is done; name tests that are missing."""
    for name in ("train_split", "validation_split", "test_splits"):
        if "+" in getattr(config, name):
            raise UserError(
                f"{flag(name)} {getattr(config, name)!r}: a sum of splits cannot be used, for "
                "rows are kept split by split; name one split or a slice of one"
            )
    for name in ("train_split", "validation_split"):
        if whole_split(getattr(config, name)) not in splits:
            raise UserError(
                f"{flag(name)} {getattr(config, name)!r}: the dataset has {', '.join(splits)}; "
                "name one of these, or a part such as 'train[90%:]'"
            )
    for name in _asked_tests(config):
        if (whole := whole_split(name)) not in {*splits, *SPLITS}:
            raise unknown("split", name, {*splits, *SPLITS})
        if whole not in splits:
            print(f"There is no split {whole!r} to score: the dataset has {', '.join(splits)}.")


def _asked_tests(config: Config) -> list[str]:
    return [name.strip() for name in config.test_splits.split(",")]


def _test_splits(config: Config, splits: Any) -> list[str]:
    """Return the splits to score at the end: those asked for that exist, else validation."""
    found = [name for name in _asked_tests(config) if whole_split(name) in splits]
    return found or [config.validation_split]


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
        "licence": licence_of(config.data),
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
