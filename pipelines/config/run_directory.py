"""The directory of a run: opened before heavy imports, so that mistakes are reported at once."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from filelock import BaseFileLock, FileLock, Timeout

from data.common.errors import UserError
from data.common.files import atomic_write
from pipelines.config.config import Config, flag
from pipelines.config.renamed import current_fields
from pipelines.runtime import cluster

METRICS = "metrics.json"  # exists once a run is complete
SELF_CRITICAL = "self-critical"  # the folder of the second stage
RAISABLE = ("epochs", "patience")  # options that may be raised to continue a run
DATA = "data.json"  # exists once the training data of a run are fixed
INIT_WEIGHTS = "the weights of --init-from"  # among its pins
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
    if not path.exists():
        if dry_run or not cluster.read().chief:
            return folder
        _write(path, config)
    changed = _changes(path, config)
    chief = cluster.read().chief
    started = (folder / DATA).exists() or not chief
    if started:
        _refuse(folder, changed)
    if dry_run:
        return folder
    if chief:
        _lock(folder)
        if changed and started:  # only raised: the run continues, and is complete when it ends
            (folder / METRICS).unlink(missing_ok=True)
    if not (folder / DATA).exists():  # they may be of other options or other data
        for vocabulary in _vocabularies(folder):
            vocabulary.unlink()
    if changed and chief:
        _write(path, config)
    return folder


def _write(path: Path, config: Config) -> None:
    try:
        with atomic_write(path) as file:
            file.write(config.to_json())
    except OSError as error:
        raise UserError(
            f"cannot write to the run directory {path.parent}: {error.strerror}"
        ) from None


def is_complete(folder: Path, config: Config) -> bool:
    """Return whether a run has ended, and with this configuration, not with fewer epochs."""
    return (folder / METRICS).exists() and not _changes(folder / "config.json", config)


def read_config(folder: Path) -> Config:
    """Return the configuration of a run.

    Raises:
        UserError: if the folder has none, or one of a newer version.
    """
    path = folder / "config.json"
    try:
        fields = current_fields(read_object(path))
        known = {field.name for field in dataclasses.fields(Config)}
        if unknown := sorted(fields.keys() - known):
            raise UserError(
                f"{folder} holds a run of a newer version of Wordreel, with the option "
                f"{flag(unknown[0])}: update Wordreel to use it"
            )
        return Config(**fields)
    except OSError as error:
        raise UserError(f"{folder} is not a run directory: config.json: {error.strerror}") from None
    except TypeError as error:
        raise UserError(f"{folder} is not a run directory: config.json: {error}") from None


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
    before = read_object(path)
    # Older runs pinned less; a trained model no longer needs the one that it started from.
    changed = [
        name
        for name in before
        if before[name] != now.get(name) and (name in now or name != INIT_WEIGHTS)
    ]
    if changed:
        raise UserError(
            f"{folder} holds a run with other training data: {' and '.join(changed)} changed since "
            "it began. Restore what changed to resume it, or choose another --run-dir."
        )


def _changes(path: Path, config: Config) -> dict[str, tuple[Any, Any]]:
    """Return the old and the new value of each option that a config.json has otherwise."""
    # An older version had fewer options; without these two it trained as with their defaults.
    before = {"init_from": None, "monitor": None, **current_fields(read_object(path))}
    now = json.loads(config.to_json())
    return {
        name: (before[name], now[name])
        for name in now
        if name in before and before[name] != now[name]
    }


def _refuse(folder: Path, changed: Mapping[str, tuple[Any, Any]]) -> None:
    """Raise a UserError if options have changed of a run that has started, unless raised."""
    raised = {name for name in RAISABLE if name in changed and changed[name][0] < changed[name][1]}
    if changed.keys() - raised:
        facts = "; ".join(f"{flag(name)} was {a}, now {b}" for name, (a, b) in changed.items())
        options = " and ".join(map(flag, RAISABLE))
        raise UserError(
            f"{folder} holds a run with other options ({facts}). Repeat its options to resume it "
            f"({options} may be raised), or choose another --run-dir."
        )
    if raised and (folder / SELF_CRITICAL).exists():
        raise UserError(
            f"{folder}: --epochs and --patience cannot be raised after self-critical training, "
            f"which continues the first stage's weights. Start a run with --init-from {folder}."
        )


def _vocabularies(folder: Path) -> list[Path]:
    """Return the vocabularies and label lists in a run's directory."""
    return sorted(folder.glob("*vocabulary.txt")) + sorted(folder.glob("labels.txt"))


def _lock(folder: Path) -> None:
    """Lock a run's directory until this process ends."""
    # A singleton: the second call of a process gets the same lock, and may acquire it again. No
    # fallback to a lock by existence, which a killed process would leave behind. `wordreel runs`
    # holds it for a moment.
    lock = FileLock(
        folder / ".lock", timeout=1, thread_local=False, is_singleton=True, fallback_to_soft=False
    )
    try:
        lock.acquire()
    except Timeout:
        raise UserError(
            f"another process uses {folder}: wait until it ends, or choose another --run-dir"
        ) from None
    _locks.append(lock)


def read_object(path: Path) -> dict[str, Any]:
    """Read a JSON object of a run's directory.

    Raises:
        UserError: if it is damaged.
    """
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
