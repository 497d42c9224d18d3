"""The directory of a run: opened before anything heavy is imported, so that mistakes are quick."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
from pathlib import Path

from data.common.errors import UserError
from data.common.files import atomic_write
from pipelines.config.config import Config, flag
from pipelines.runtime import cluster

_held: dict[tuple[int, int], int] = {}  # open locks of this process, by device and inode


def open_run(config: Config, run_dir: Path | None) -> Path:
    """Make a run's directory, or check that it holds a run of the same configuration.

    Of a cluster's workers, only the chief makes it. It then holds it as long as its process lives.
    A run that ended before it learned, by a mistake in its options for one, leaves the directory
    free for others.

    Raises:
        UserError: naming the options that differ, or why the directory cannot be used.
    """
    data = re.sub(r"[^\w.-]+", "-", config.data)
    folder = run_dir or Path("runs") / f"{config.task}-{data}-{config.hash}"
    path = folder / "config.json"
    try:
        if not path.exists():
            if not cluster.read().chief:
                return folder
            with atomic_write(path) as file:
                file.write(config.to_json())
    except OSError as error:
        raise UserError(f"cannot write to the run directory {folder}: {error.strerror}") from None
    before, now = _read(path), json.loads(config.to_json())
    differences = [
        f"{flag(name)} was {before[name]}, now {now[name]}"
        for name in now
        if name in before and before[name] != now[name]  # an older version had fewer options
    ]
    chief = cluster.read().chief
    if differences and (_data_note(folder).exists() or not chief):
        raise UserError(
            f"{folder} holds a run with other options ({'; '.join(differences)}). "
            "Repeat them to go on with it, or choose another --run-dir."
        )
    if chief:
        _lock(folder)
    if differences:
        for words in _words(folder):
            words.unlink()
        with atomic_write(path) as file:
            file.write(config.to_json())
    return folder


def predictions_name(split: str) -> str:
    """Return what a split's predictions are called, without a suffix: of each slice another.

    >>> predictions_name("test"), predictions_name("train[:95%]"), predictions_name("train[95%:]")
    ('predictions-test', 'predictions-train-to-95%', 'predictions-train-95%-to')
    """
    words = re.findall(r"-?\w+%?|:", split)
    return "-".join(["predictions", *("to" if word == ":" else word for word in words)])


def check_data(folder: Path, fingerprint: str) -> None:
    """Keep what a run learns from in `data.json`; on a later start refuse anything else.

    Args:
        folder: of the run, the words or labels in it.
        fingerprint: of the dataset.

    Raises:
        UserError: naming what has changed.
    """
    path = _data_note(folder)
    now = {"the dataset": fingerprint}
    for file in _words(folder):
        now[file.name] = hashlib.sha256(file.read_bytes()).hexdigest()
    if not path.exists():
        with atomic_write(path) as out:
            json.dump(now, out, indent=2)
    before = _read(path)
    changed = [name for name in before | now if before.get(name) != now.get(name)]
    if changed:
        raise UserError(
            f"{folder} holds a run that learned from something else: {' and '.join(changed)} "
            "changed since it began. Put back what it was to go on, or choose another --run-dir."
        )


def _data_note(folder: Path) -> Path:
    """Return the file that is there once a run has something to learn from."""
    return folder / "data.json"


def _words(folder: Path) -> list[Path]:
    """Return the files of words or labels that a run's directory holds."""
    return sorted(folder.glob("*vocabulary.txt")) + sorted(folder.glob("labels.txt"))


def _lock(folder: Path) -> None:
    """Hold a run's directory until this process ends.

    Raises:
        UserError: if another process holds it.
    """
    file = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT)
    status = os.fstat(file)
    key = status.st_dev, status.st_ino
    if key in _held:
        os.close(file)
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(file)
        raise UserError(
            f"another process is at work in {folder}: wait for it, or choose another --run-dir"
        ) from None
    _held[key] = file


def _read(path: Path) -> dict[str, object]:
    """Read a JSON object that an earlier start wrote.

    Raises:
        UserError: if it is none.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        raise UserError(
            f"{path} is damaged: it is not what a run writes. Remove {path.parent} to train anew, "
            "or choose another --run-dir."
        )
    return content
