"""What is stored about runs, complete or not: read without TensorFlow."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from filelock import FileLock, Timeout

from data.common.errors import UserError
from data.common.files import atomic_write
from pipelines.config.renamed import current_fields
from pipelines.config.run_directory import DATA, METRICS, SELF_CRITICAL, read_object

HISTORY = "history.json"  # the loss and the validation scores of each epoch so far
HEADLINES = ("fully_correct", "CIDEr-D", "BLEU", "accuracy")  # the first that a task has is shown


class Score(NamedTuple):
    """A score of a run on a split."""

    split: str
    name: str
    value: float
    interval: Sequence[float]  # the 95 % confidence interval; empty of many examples

    def __str__(self) -> str:
        """Return the text for the screen."""
        ends = " [{:.1f}, {:.1f}]".format(*self.interval) if self.interval else ""
        return f"{self.name.replace('_', ' ')} {self.value:.1f}{ends} ({self.split})"


@dataclasses.dataclass(frozen=True)
class Run:
    """What is stored about a run, half-written or complete.

    Attributes:
        folder: its directory.
        config: its options by their current names; empty if they are damaged.
        pins: the hashes in data.json; empty if training has not started.
        history: a record for each epoch that is over.
        splits: the scores of each split in metrics.json; None if the run is not complete.
        running: whether a process trains it.
    """

    folder: Path
    config: Mapping[str, Any]
    pins: Mapping[str, Any]
    history: Sequence[Mapping[str, float]]
    splits: Mapping[str, Mapping[str, Any]] | None
    running: bool

    @property
    def state(self) -> str:
        """How far the run is."""
        epochs = len(self.history)
        if not self.config:
            return "damaged: config.json"
        if self.splits is not None:
            return f"complete, {epochs} epoch{'s' * (epochs != 1)}"
        if not self.pins and not self.running:
            return "training has not started"
        return f"{'running' if self.running else 'stopped'}, epoch {epochs} of {self._planned}"

    @property
    def best(self) -> Score | None:
        """The headline score of the first test split, else the best one in validation."""
        for split, found in (self.splits or {}).items():
            for name in HEADLINES:
                if name in found:
                    ends = found.get("intervals", {}).get(name, ())
                    return Score(split, name, found[name], ends)
        for name in HEADLINES:
            if values := [record[name] for record in self.history if name in record]:
                return Score("validation", name, max(values), ())
        return None

    @property
    def _planned(self) -> int:
        return int(self.config.get("epochs", 0)) + int(self.config.get("scst_epochs", 0))


def read_run(folder: Path) -> Run:
    """Read what is stored in a run's directory.

    Raises:
        UserError: if it is not one.
    """
    if not (folder / "config.json").is_file():
        raise UserError(f"{folder} is not a run directory: it has no config.json")
    metrics = _read_or_empty(folder / METRICS)
    history = metrics.get("history") or [
        record
        for part in (folder, folder / SELF_CRITICAL)
        for record in _read_or_empty(part / HISTORY).get("epochs", [])
    ]
    return Run(
        folder,
        current_fields(_read_or_empty(folder / "config.json")),
        _read_or_empty(folder / DATA),
        history,
        metrics.get("splits"),
        _is_locked(folder),
    )


def find_runs(root: Path) -> Iterator[Run]:
    """Yield the runs in a folder and its subfolders, by name."""
    for name, folders, files in os.walk(root):
        folders.sort()
        if "config.json" in files:
            folders.clear()
            yield read_run(Path(name))


def write_history(folder: Path, history: Sequence[Mapping[str, float]]) -> None:
    """Store the records of the epochs that are over, for `read_run`."""
    with atomic_write(folder / HISTORY) as file:
        json.dump({"epochs": history}, file, indent=2)


def surplus_files(run: Run) -> list[Path]:
    """Return the files that neither serving nor continuing a run needs.

    These are checkpoints before the newest and, of a complete run, the state of self-critical
    training (it cannot be continued), TensorBoard logs and what an interrupted export has left.
    """
    complete, second = run.splits is not None, run.folder / SELF_CRITICAL
    found = older_checkpoints(run.folder) + older_checkpoints(second)
    if complete:
        folders = (second / "checkpoints", second / "best", run.folder / "export")
        patterns = ("*", "*", ".unpublished-*/**/*")
        for folder, pattern in zip(folders, patterns, strict=True):
            found += folder.glob(pattern)
        for folder in (run.folder, second):
            found += (folder / "tensorboard").rglob("*")
    return sorted({path for path in found if path.is_file()})


def older_checkpoints(folder: Path) -> list[Path]:
    """Return the files of checkpoints that are not the newest, which `checkpoint` names."""
    state = folder / "checkpoints" / "checkpoint"
    text = state.read_text(encoding="utf-8") if state.is_file() else ""
    newest = re.search(r'^model_checkpoint_path: "(.+)"$', text, re.MULTILINE)
    if newest is None:
        return []
    name = Path(newest[1]).name
    return [path for path in state.parent.glob("ckpt-*.*") if path.stem != name]


def _is_locked(folder: Path) -> bool:
    """Return whether a process trains the run of a directory."""
    if not (folder / ".lock").exists():
        return False
    try:
        with FileLock(folder / ".lock", timeout=0, fallback_to_soft=False):
            return False
    except Timeout:
        return True
    except OSError:  # of another user, for example
        return False


def _read_or_empty(path: Path) -> dict[str, Any]:
    """Read a JSON object; {} if it is missing or damaged."""
    with contextlib.suppress(OSError, UserError):
        return dict(read_object(path))
    return {}
