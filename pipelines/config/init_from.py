"""`--init-from`: whether the model of one run fits another, checked before heavy imports."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path

from data.common.errors import UserError
from models.backbones.names import resolve_name
from pipelines.config.config import Config, flag
from pipelines.config.run_directory import read_config
from pipelines.config.task import TASKS

# The options that decide which weights a model has, or what the weights mean.
ARCHITECTURE = (
    *("backbone", "frame_pooling", "motion", "embedding_dim", "affix_embeddings", "layers"),
    *("bidirectional", "decoder", "cell", "units", "pooling", "keep_punctuation"),
)


def check_init_from(config: Config) -> None:
    """Check that a run can start from the weights of its `init_from`, if it has one.

    Raises:
        UserError: if that is not a run with weights, or its model has another architecture.
    """
    if config.init_from is None:
        return
    folder = Path(config.init_from)
    try:
        old = read_config(folder)
        best_weights(folder)
    except UserError as error:
        raise UserError(f"--init-from: {error}") from None
    if old.task != config.task:
        raise UserError(
            f"--init-from {folder} is a run of {old.task}, this is one of {config.task}: start "
            "from a run of the same task"
        )
    uses = {field.name: TASKS[config.task].uses(field) for field in dataclasses.fields(config)}
    different = [
        (name, getattr(old, name), getattr(config, name))
        for name in ARCHITECTURE
        if uses[name] and _canonical(getattr(old, name)) != _canonical(getattr(config, name))
    ]
    if different:
        facts = "; ".join(f"{flag(name)} is {a} there, {b} here" for name, a, b in different)
        fix = " ".join(_argument(name, value) for name, value, _ in different)
        raise UserError(
            f"--init-from {folder}: its model has another architecture ({facts}). To start from "
            f"it, add {fix}"
        )


def best_weights(folder: Path) -> list[Path]:
    """Return the files of the best weights of a run.

    Raises:
        UserError: if it has none yet.
    """
    files = sorted((folder / "best").glob("ckpt-*"))
    if not files or not (folder / "best" / "checkpoint").exists():
        raise UserError(f"{folder} has no weights yet: the first epoch of its run has not ended")
    return files


def fingerprint(folder: Path) -> str:
    """Return 16 hex digits that depend on the best weights of a run.

    Raises:
        UserError: if it has none.
    """
    digest = hashlib.sha256()
    for path in best_weights(folder):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _canonical(value: object) -> object:
    """Return a value that is equal for all spellings of a backbone."""
    try:
        return resolve_name(value) if isinstance(value, str) else value
    except ValueError:
        return value


def _argument(name: str, value: object) -> str:
    """Return the option of the command line with a value.

    >>> _argument("bidirectional", False), _argument("units", 512)
    ('--no-bidirectional', '--units 512')
    """
    if isinstance(value, bool):
        return flag(name if value else f"no_{name}")
    return f"{flag(name)} {value}"
