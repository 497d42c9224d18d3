"""The recorded requests of an export, as TensorFlow Serving's PredictionLogs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from pipelines.export.bundle.sample_requests import (
    LARGEST_BATCH,
    read_signatures,
    sample_inputs,
)

WARM_UP = "tf_serving_warmup_requests"  # servers read this file of assets.extra
GOLDEN = "golden_requests"
GOLDEN_ROWS = 5


def write_requests(folder: Path, name: str, functions: Mapping[str, Any]) -> None:
    """Record a request for each signature with its outputs, and write the warm-up requests.

    `verify-export` repeats the recorded requests. A server answers the warm-up requests, a batch of
    one and one of the largest batch size, before it makes a version available. The `functions` of
    the signatures compute the outputs, so that they are those of the model in memory, not of the
    saved one.
    """
    golden, warm_up = [], []
    for signature, definition in read_signatures(folder).items():
        inputs = sample_inputs(definition, folder, GOLDEN_ROWS)
        function = functions[signature]
        with tf.device("/CPU:0"):  # the check runs there; a GPU rounds differently
            given = [tf.constant(inputs[spec.name]) for spec in function.input_signature]
            answer = function(*given)
        golden.append(_log(name, signature, inputs, {key: answer[key].numpy() for key in answer}))
        for rows in (1, LARGEST_BATCH):
            warm_up.append(_log(name, signature, sample_inputs(definition, folder, rows), {}))
    for file, logs in ((GOLDEN, golden), (WARM_UP, warm_up)):
        with tf.io.TFRecordWriter(str(folder / "assets.extra" / file)) as writer:
            for log in logs:
                writer.write(log.SerializeToString(deterministic=True))


def read_requests(path: Path) -> Iterator[tuple[str, dict[str, np.ndarray]]]:
    """Yield the signature and the inputs of each PredictionLog in a file.

    Raises:
        tf.errors.DataLossError: if the file is not a complete TFRecord.
    """
    for record in tf.data.TFRecordDataset(str(path)):
        request = prediction_log_pb2.PredictionLog.FromString(record.numpy()).predict_log.request
        inputs = {name: tf.make_ndarray(value) for name, value in request.inputs.items()}
        yield request.model_spec.signature_name, inputs


def _log(
    name: str, signature: str, inputs: Mapping[str, np.ndarray], outputs: Mapping[str, np.ndarray]
) -> Any:
    """Return a PredictionLog."""
    log = prediction_log_pb2.PredictionLog()
    request, response = log.predict_log.request, log.predict_log.response
    request.model_spec.name = name
    request.model_spec.signature_name = signature
    for key, value in inputs.items():
        request.inputs[key].CopyFrom(tf.make_tensor_proto(value))
    for key, value in outputs.items():
        response.outputs[key].CopyFrom(tf.make_tensor_proto(value))
    return log
