"""The writer of exports: versions in numbered folders, verified before they are published."""

from __future__ import annotations

import functools
import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import keras
import tensorflow as tf

from data.common.errors import UserError
from models.encoder_head import EncoderHead
from models.memory import Memory
from pipelines.export.bundle.request_log import write_requests
from pipelines.export.bundle.sample_requests import LARGEST_BATCH
from pipelines.export.bundle.serving_files import write_serving_files
from pipelines.export.bundle.verify import refuse_invalid
from pipelines.export.layout import model_name
from pipelines.runtime.version import own_version

SCRATCH = ".unpublished-"  # begins the name of the folder in which a version is written

# A batch → rows for the model, and bool `[batch]`, which of them are valid.
Read = Callable[[tf.Tensor], tuple[Any, tf.Tensor]]
# Memory, valid → outputs `[batch, ...]` by name.
Head = Callable[[Memory, tf.Tensor], dict[str, tf.Tensor]]
Encode = Callable[[Any], Memory]


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


def write_export(
    directory: Path | str,
    model: EncoderHead,
    source: Preprocessing,
    functions: Mapping[str, Any],
    files: Mapping[str, Callable[[Path], object]],
    description: Mapping[str, Any],
) -> Path:
    """Write the next version of an export, and next to it the files that servers read.

    The version is published only after a separate process has repeated the recorded requests.

    Args:
        directory: the version becomes its subfolder 1, 2, …, complete or not at all.
        model: with the weights that the functions read.
        source: reads the inputs.
        functions: the `tf.function` of each signature.
        files: functions that write an asset, by its name.
        description: JSON values for `assets.extra/wordreel.json`; clients read it, servers do not.

    Returns:
        The version's folder.

    Raises:
        UserError: if the directory cannot be written, or the export fails its verification.
    """
    directory = Path(directory)
    name = model_name(directory)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        remove_unpublished(directory)
        with tempfile.TemporaryDirectory(dir=directory, prefix=SCRATCH) as scratch:
            folder = Path(scratch, "export")
            assets = []
            for file, write in {**getattr(source, "files", {}), **files}.items():
                assets.append(folder.with_name(file))
                write(assets[-1])
            _save(folder, model, functions, assets)
            write_requests(folder, name, functions)
            _describe(folder, {"input": source.description(), **description})
            refuse_invalid(folder)
            versions = [int(path.name) for path in directory.iterdir() if path.name.isdigit()]
            version = folder.rename(directory / str(1 + max(versions, default=0)))
        write_serving_files(version)
        return version
    except (OSError, tf.errors.OpError) as error:
        reason = error.message if isinstance(error, tf.errors.OpError) else error.strerror
        raise UserError(f"cannot write the export to {directory}: {reason}") from error


def remove_unpublished(directory: Path) -> None:
    """Remove what processes that were killed have left of versions they did not publish."""
    for left in directory.glob(f"{SCRATCH}*"):
        shutil.rmtree(left, ignore_errors=True)


def _save(
    folder: Path, model: EncoderHead, functions: Mapping[str, Any], assets: Sequence[Path]
) -> None:
    """Write a SavedModel."""
    # The module tracks variables, not layers: loading it needs no Keras. Folding replaces some
    # weights by constants; those are left out.
    graphs = [function.get_concrete_function().graph for function in functions.values()]
    read = {id(variable) for graph in graphs for variable in graph.variables}
    module = tf.Module()
    module.files = [tf.saved_model.Asset(str(path)) for path in assets]
    module.weights = [weight.value for weight in model.weights if id(weight.value) in read]
    tf.saved_model.save(module, str(folder), signatures=dict(functions))
    (folder / "assets.extra").mkdir()


def input_signatures(source: Preprocessing) -> dict[str, tuple[tf.TensorSpec, Read]]:
    """Return the input of each signature and the function that reads it, traced once for all."""
    others: dict[str, tuple[tf.TensorSpec, Read]] = getattr(source, "more_signatures", {})
    inputs = {"serving_default": (source.signature, source.read_in_graph), **others}
    return {
        name: (spec, tf.function(read, autograph=False)) for name, (spec, read) in inputs.items()
    }


def compile_signature(encode: Encode, read: Read, head: Head, spec: tf.TensorSpec) -> Any:
    """Return the `tf.function` of a signature with one input, see `predict`."""
    function = functools.partial(predict, encode, read, head)
    return tf.function(function, input_signature=[spec], autograph=False)


def predict(encode: Encode, read: Read, head: Head, given: tf.Tensor) -> dict[str, tf.Tensor]:
    """Compute the outputs of a signature for a batch that may be empty."""
    shape = tf.shape(given)  # not every op takes an empty batch: a row of zeros or "" is added
    missing = tf.cast(shape[:1] == 0, tf.int32)
    blank = tf.zeros(tf.concat([missing, shape[1:]], axis=0), given.dtype)
    rows, valid = read(tf.concat([given, blank], axis=0))
    outputs = head(encode(rows), valid)
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
        "wordreel": own_version("not installed"),
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
