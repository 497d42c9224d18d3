"""The writer of exports: versions in numbered folders, verified before they are published."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import keras
import tensorflow as tf

from data.common.errors import UserError
from models.encoder_head import EncoderHead
from models.memory import Memory
from pipelines.export.bundle.request_log import write_golden, write_warm_up
from pipelines.export.bundle.sample_requests import LARGEST_BATCH, read_signatures
from pipelines.export.bundle.serving_files import write_serving_files
from pipelines.export.bundle.verify import refuse_invalid
from pipelines.export.layout import model_name

Save = Callable[[Path], Mapping[str, Any]]  # → tf.functions by signature
Read = Callable[[tf.Tensor], tuple[Any, tf.Tensor]]


class Preprocessing(Protocol):
    """The input of an export and how stock ops read it, see `pipelines.preprocessing`.

    An implementation may also have `files`: functions that write an asset, by its name; and
    `more_signatures`: further inputs and their readers, by name.
    """

    @property
    def signature(self) -> tf.TensorSpec:
        """The input of `serving_default`, `[batch, ...]`."""

    def read_in_graph(self, given: tf.Tensor, /) -> tuple[tf.Tensor, tf.Tensor]:
        """Return the model's input for a batch, and which rows are valid, bool `[batch]`."""

    def description(self) -> dict[str, object]:
        """Return the entry "input" of wordreel.json."""


def write_version(directory: Path | str, save: Save, description: Mapping[str, Any]) -> Path:
    """Write the next version of an export, and next to it the files that servers read.

    The version is published only after a separate process has repeated the recorded requests.

    Args:
        directory: the version becomes its subfolder 1, 2, …, complete or not at all.
        save: writes the SavedModel to the given folder and returns the saved functions by
            signature; its parent is a scratch folder.
        description: JSON values for `assets.extra/wordreel.json`, in addition to the software
            versions; clients read them, servers do not.

    Returns:
        The version's folder.

    Raises:
        UserError: if the directory cannot be written, or the export fails its verification.
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
            refuse_invalid(folder)
            versions = [int(path.name) for path in directory.iterdir() if path.name.isdigit()]
            version = folder.rename(directory / str(1 + max(versions, default=0)))
        write_serving_files(version, signatures)
        return version
    except (OSError, tf.errors.OpError) as error:
        reason = error.message if isinstance(error, tf.errors.OpError) else error.strerror
        raise UserError(f"cannot write the export to {directory}: {reason}") from error


def write_export(
    directory: Path | str,
    model: EncoderHead,
    source: Preprocessing,
    functions: Callable[[EncoderHead], dict[str, Any]],
    files: Mapping[str, Callable[[Path], object]],
    description: Mapping[str, Any],
) -> Path:
    """Write a model as the next version of an export.

    Args:
        directory: see `write_version`.
        model: as trained; batch normalization is folded before it is exported.
        source: reads the inputs.
        functions: makes the `tf.function` of each signature from the folded model.
        files: functions that write an asset, by its name.
        description: see `write_version`.

    Returns:
        The version's folder.

    Raises:
        UserError: see `write_version`.
    """

    def save(folder: Path) -> dict[str, Any]:
        writers = {**files, **getattr(source, "files", {})}
        assets = [folder.with_name(name) for name in writers]
        for path, write in zip(assets, writers.values(), strict=True):
            write(path)
        folded = model.optimize_for_inference()
        signatures = functions(folded)
        # The module tracks variables, not layers: loading it needs no Keras. Folding replaces some
        # weights by constants; those are left out.
        graphs = [function.get_concrete_function().graph for function in signatures.values()]
        read = {id(variable) for graph in graphs for variable in graph.variables}
        module = tf.Module()
        module.files = [tf.saved_model.Asset(str(path)) for path in assets]
        module.weights = [weight.value for weight in folded.weights if id(weight.value) in read]
        tf.saved_model.save(module, str(folder), signatures=signatures)
        return signatures

    return write_version(directory, save, description)


def input_signatures(source: Preprocessing) -> dict[str, tuple[tf.TensorSpec, Read]]:
    """Return the input of each signature and the function that reads it."""
    others: dict[str, tuple[tf.TensorSpec, Read]] = getattr(source, "more_signatures", {})
    return {"serving_default": (source.signature, source.read_in_graph), **others}


def predict(
    model: EncoderHead,
    read: Read,
    head: Callable[[Memory, tf.Tensor], dict[str, tf.Tensor]],
    given: tf.Tensor,
) -> dict[str, tf.Tensor]:
    """Compute the outputs of a signature for a batch that may be empty.

    Args:
        model: its encoder computes the memory.
        read: (batch) → rows for the model, and bool `[batch]`, which of them are valid.
        head: (memory, valid) → outputs `[batch, ...]` by name.
        given: the batch.
    """
    shape = tf.shape(given)  # not every op takes an empty batch: a row of zeros or "" is added
    missing = tf.cast(shape[:1] == 0, tf.int32)
    blank = tf.zeros(tf.concat([missing, shape[1:]], axis=0), given.dtype)
    rows, valid = read(tf.concat([given, blank], axis=0))
    outputs = head(model.encode(rows), valid)
    return {name: output[: shape[0]] for name, output in outputs.items()}


def describe_input(spec: tf.TensorSpec) -> str:
    """Describe the input of a signature.

    >>> describe_input(tf.TensorSpec([None, None], tf.string, "frame_bytes"))
    'frame_bytes: string [None, None]'
    """
    return f"{spec.name}: {spec.dtype.name} {list(spec.shape)}"


def _describe(folder: Path, description: Mapping[str, Any]) -> None:
    """Write wordreel.json, last: it lists the other files."""
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
