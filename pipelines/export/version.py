"""What every export is: a numbered folder, whole or not there, that says what it holds."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from data.common.errors import UserError
from pipelines.export.bundle.request_log import write_golden, write_warm_up
from pipelines.export.bundle.sample_requests import LARGEST_BATCH, read_signatures
from pipelines.export.bundle.serving_files import write_companions
from pipelines.export.bundle.verify import refuse_unless_sound
from pipelines.export.layout import model_name

Save = Callable[[Path], Mapping[str, Any]]  # to tf.functions by signature


def write_version(directory: Path | str, save: Save, description: Mapping[str, Any]) -> Path:
    """Write the next version of an export, and beside it what servers need to take it.

    It is given its number only after a process of its own has repeated the recorded requests.

    Args:
        directory: gets the version as a folder named 1, 2, …, whole or not at all.
        save: writes the SavedModel to the folder it is given, and returns the functions it saved,
            by signature; beside the folder lies room for scratch.
        description: JSON values for `assets.extra/wordreel.json`, beside the software's versions;
            servers ignore it, clients read it.

    Returns:
        The version's folder.

    Raises:
        UserError: if the directory cannot be written, or the export does not keep its promises.
    """
    directory = Path(directory)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=directory, prefix=".") as scratch:
            folder = Path(scratch) / "export"
            functions = save(folder)
            (folder / "assets.extra").mkdir()
            signatures = read_signatures(folder)
            write_golden(folder, model_name(directory), signatures, functions)
            write_warm_up(folder, model_name(directory), signatures)
            _describe(folder, description)
            refuse_unless_sound(folder)
            versions = [int(path.name) for path in directory.iterdir() if path.name.isdigit()]
            version = folder.rename(directory / str(1 + max(versions, default=0)))
        write_companions(version, signatures)
        return version
    except (OSError, tf.errors.OpError) as error:
        reason = error.message if isinstance(error, tf.errors.OpError) else error.strerror
        raise UserError(f"cannot write the export to {directory}: {reason}") from error


def at_least_one_row(given: tf.Tensor) -> tf.Tensor:
    """Add a row of zeros or "" to an empty batch, `[batch, ...]`: not every op takes none."""
    shape = tf.shape(given)
    missing = tf.cast(shape[:1] == 0, tf.int32)
    blank = tf.zeros(tf.concat([missing, shape[1:]], axis=0), given.dtype)
    return tf.concat([given, blank], axis=0)


def more_signatures(source: Any) -> dict[str, tuple[tf.TensorSpec, Callable[..., Any]]]:
    """Return what else an export takes besides `source.signature`, and how each is read."""
    return getattr(source, "more_signatures", {})


def taken(spec: tf.TensorSpec) -> str:
    """Say what a signature takes.

    >>> taken(tf.TensorSpec([None, None], tf.string, "frame_bytes"))
    'frame_bytes: string [None, None]'
    """
    return f"{spec.name}: {spec.dtype.name} {list(spec.shape)}"


def _describe(folder: Path, description: Mapping[str, Any]) -> None:
    """Write wordreel.json, last: it names all that lies there."""
    versions = {
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
        "wordreel": _own_version(),
    }
    digests = {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
    facts = {
        "versions": versions,
        **description,
        "largest_batch": LARGEST_BATCH,
        "sha256": digests,
    }
    text = json.dumps(facts, indent=2, ensure_ascii=False)
    (folder / "assets.extra" / "wordreel.json").write_text(text + "\n", encoding="utf-8")


def _own_version() -> str:
    try:
        return importlib.metadata.version("wordreel")
    except importlib.metadata.PackageNotFoundError:  # run from a checkout
        return "not installed"
