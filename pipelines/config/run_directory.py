"""The directory of a run: opened before heavy imports, so that mistakes are reported at once."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from filelock import BaseFileLock, FileLock, Timeout

from data.common.errors import UserError
from data.common.files import atomic_write
from pipelines.config.config import Config, flag
from pipelines.config.renamed import current_fields
from pipelines.runtime import cluster

DATA = "data.json"  # exists once the training data of a run are fixed
HISTORY = "history.json"  # the loss and the validation scores of each epoch so far
METRICS = "metrics.json"  # exists once a run is complete
HEADLINES = ("fully_correct", "CIDEr-D", "BLEU", "accuracy")  # the first that a task has is shown
_locks: list[BaseFileLock] = []  # held by this process; a lock without a reference is released


def open_run(config: Config, run_dir: Path | None, *, dry_run: bool = False) -> Path:
    """Create a run's directory, or check that it holds a run of the same configuration.

    In a cluster only the chief creates it, and locks it until its process ends. A run that stopped
    before training started, for example because of a wrong option, does not block the directory.
    A dry run only checks it.

    Raises:
        UserError: if options differ, or the directory cannot be used.
    """
    data = re.sub(r"[^\w.-]+", "-", config.data)
    folder = run_dir or Path("runs") / f"{config.task}-{data}-{config.hash}"
    path = folder / "config.json"
    try:
        if not path.exists():
            if dry_run or not cluster.read().chief:
                return folder
            with atomic_write(path) as file:
                file.write(config.to_json())
    except OSError as error:
        raise UserError(f"cannot write to the run directory {folder}: {error.strerror}") from None
    before, now = current_fields(_read(path)), json.loads(config.to_json())
    differences = [
        f"{flag(name)} was {before[name]}, now {now[name]}"
        for name in now
        if name in before and before[name] != now[name]  # an older version had fewer options
    ]
    chief = cluster.read().chief
    if differences and ((folder / DATA).exists() or not chief):
        raise UserError(
            f"{folder} holds a run with other options ({'; '.join(differences)}). "
            "Repeat its options to resume it, or choose another --run-dir."
        )
    if dry_run:
        return folder
    if chief:
        _lock(folder)
    if not (folder / DATA).exists():  # they may be of other options or other data
        for vocabulary in _vocabularies(folder):
            vocabulary.unlink()
    if differences:
        with atomic_write(path) as out:
            out.write(config.to_json())
    return folder


def predictions_name(split: str) -> str:
    """Return the file name of a split's predictions, without suffix; each slice has its own.

    >>> predictions_name("test"), predictions_name("train[:95%]"), predictions_name("train[95%:]")
    ('predictions-test', 'predictions-train-to-95%', 'predictions-train-95%-to')
    """
    parts = re.findall(r"-?\w+%?|:", split)
    return "-".join(["predictions", *("to" if part == ":" else part for part in parts)])


def check_data(folder: Path, pins: Mapping[str, str]) -> None:
    """Store hashes of what a run depends on in `data.json`; later refuse anything else.

    Args:
        folder: of the run, with its vocabulary or labels.
        pins: hashes by name: of the dataset, pretrained weights, word vectors.

    Raises:
        UserError: if one of them has changed, with its name.
    """
    path = folder / DATA
    now = dict(pins)
    for file in _vocabularies(folder):
        now[file.name] = hashlib.sha256(file.read_bytes()).hexdigest()
    if not path.exists():
        with atomic_write(path) as out:
            json.dump(now, out, indent=2)
    before = _read(path)
    changed = [name for name in before if before[name] != now.get(name)]  # older runs pinned less
    if changed:
        raise UserError(
            f"{folder} holds a run with other training data: {' and '.join(changed)} changed since "
            "it began. Restore what changed to resume it, or choose another --run-dir."
        )


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
        for part in (folder, folder / "self-critical")
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

    These are checkpoints before the newest and, of a complete run, its TensorBoard logs and what an
    interrupted export has left.
    """
    found = list[Path]()
    for part in (run.folder, run.folder / "self-critical"):
        for folder in (part / "checkpoints", part / "best"):
            found += older_checkpoints(folder)
        if run.splits is not None:
            found += (part / "tensorboard").rglob("*")
    if run.splits is not None:
        found += (run.folder / "export").glob(".unpublished-*/**/*")
    return sorted(path for path in found if path.is_file())


def older_checkpoints(folder: Path) -> list[Path]:
    """Return the files of checkpoints that are not the newest, which `checkpoint` names."""
    state = folder / "checkpoint"
    text = state.read_text(encoding="utf-8") if state.is_file() else ""
    newest = re.search(r'^model_checkpoint_path: "(.+)"$', text, re.MULTILINE)
    if newest is None:
        return []
    return [
        path for path in folder.glob("ckpt-*.*") if path.name.split(".")[0] != Path(newest[1]).name
    ]


def _vocabularies(folder: Path) -> list[Path]:
    """Return the vocabularies and label lists in a run's directory."""
    return sorted(folder.glob("*vocabulary.txt")) + sorted(folder.glob("labels.txt"))


def _lock(folder: Path) -> None:
    """Lock a run's directory until this process ends."""
    # A singleton: the second call of a process gets the same lock, and may acquire it again. No
    # fallback to a lock by existence, which a killed process would leave behind.
    lock = FileLock(
        folder / ".lock", timeout=0, thread_local=False, is_singleton=True, fallback_to_soft=False
    )
    try:
        lock.acquire()
    except Timeout:
        raise UserError(
            f"another process uses {folder}: wait until it ends, or choose another --run-dir"
        ) from None
    _locks.append(lock)


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
        return dict(_read(path))
    return {}


def _read(path: Path) -> dict[str, object]:
    """Read a JSON object written by an earlier start."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        raise UserError(
            f"{path} is damaged: it is not a JSON object. Remove {path.parent} to train again, or "
            "choose another --run-dir."
        )
    return content
