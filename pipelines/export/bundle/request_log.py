"""Requests that lie in an export, as TensorFlow Serving logs and replays them: PredictionLogs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from pipelines.export.bundle.sample_requests import LARGEST_BATCH, sample_inputs

WARM_UP = "tf_serving_warmup_requests"  # the name that servers look for in assets.extra
GOLDEN = "golden_requests"
GOLDEN_ROWS = 5


def write_golden(
    folder: Path, name: str, signatures: Mapping[str, Any], ask: Mapping[str, Any]
) -> None:
    """Record a request for each signature with its answer, for `verify-export` to repeat.

    Args:
        folder: the SavedModel's.
        name: of the model.
        signatures: a SignatureDef a name.
        ask: for each the `tf.function` that was saved, so that what answers is the model in
            memory, not what was written of it.
    """
    logs = []
    for signature, definition in signatures.items():
        inputs = sample_inputs(definition, folder, GOLDEN_ROWS)
        function = ask[signature]
        with tf.device("/CPU:0"):  # where it is repeated: a GPU rounds in other ways
            given = [tf.constant(inputs[spec.name]) for spec in function.input_signature]
            answer = function(*given)
        logs.append(_log(name, signature, inputs, {key: answer[key].numpy() for key in answer}))
    _write(folder / "assets.extra" / GOLDEN, logs)


def write_warm_up(folder: Path, name: str, signatures: Mapping[str, Any]) -> None:
    """Write the requests that a server answers before it shows a version to anybody.

    Of each signature a batch of one and the largest that batching puts together.
    """
    logs = (
        _log(name, signature, sample_inputs(definition, folder, rows))
        for signature, definition in signatures.items()
        for rows in (1, LARGEST_BATCH)
    )
    _write(folder / "assets.extra" / WARM_UP, logs)


def read_requests(path: Path) -> Iterator[tuple[str, dict[str, np.ndarray]]]:
    """Yield the signature and the inputs of each PredictionLog in a file.

    Raises:
        tf.errors.DataLossError: if the file is no whole TFRecord.
    """
    for record in tf.data.TFRecordDataset(str(path)):
        request = prediction_log_pb2.PredictionLog.FromString(record.numpy()).predict_log.request
        inputs = {name: tf.make_ndarray(value) for name, value in request.inputs.items()}
        yield request.model_spec.signature_name, inputs


def _log(
    name: str,
    signature: str,
    inputs: Mapping[str, np.ndarray],
    outputs: Mapping[str, np.ndarray] | None = None,
) -> Any:
    """Return a PredictionLog."""
    log = prediction_log_pb2.PredictionLog()
    request, response = log.predict_log.request, log.predict_log.response
    request.model_spec.name = name
    request.model_spec.signature_name = signature
    for key, value in inputs.items():
        request.inputs[key].CopyFrom(tf.make_tensor_proto(value))
    for key, value in (outputs or {}).items():
        response.outputs[key].CopyFrom(tf.make_tensor_proto(value))
    return log


def _write(path: Path, logs: Iterable[Any]) -> None:
    with tf.io.TFRecordWriter(str(path)) as writer:
        for log in logs:
            writer.write(log.SerializeToString(deterministic=True))
