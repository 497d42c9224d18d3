"""One loaded version of a model: its signatures, and how they are run."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from google.protobuf.json_format import MessageToDict
from tensorflow_serving.apis import get_model_metadata_pb2

from data.media.vocabulary import Vocabulary
from pipelines.export.bundle.request_log import WARM_UP, read_requests
from pipelines.export.bundle.sample_requests import read_signatures
from pipelines.export.layout import read_info
from pipelines.serving.server.errors import RequestError
from pipelines.serving.server.rest_json import Spec


class Version:
    """A version in memory; its folder may be deleted.

    Attributes:
        info: the wordreel.json.
        words: the vocabulary; empty if there is none.
        marks: whether the tokenizer keeps punctuation.
        specs: the inputs of each signature.
        metadata: the SignatureDefs as JSON, as in TensorFlow Serving's REST API.
    """

    def __init__(self, number: int, folder: Path) -> None:
        """Load a SavedModel and run its warm-up requests.

        Raises:
            Exception: any reason why it cannot be loaded or run.
        """
        self.number = number
        self.info = read_info(folder)
        vocabulary = folder / "assets" / "vocabulary.txt"
        self.words = vocabulary.read_text("utf-8").split("\n")[:-1] if vocabulary.is_file() else []
        source = folder / "assets" / "source-vocabulary.txt"
        self.marks = source.is_file() and Vocabulary.load(source).punctuation
        signatures = read_signatures(folder)
        self.specs = {
            name: {key: _spec(tensor) for key, tensor in signature.inputs.items()}
            for name, signature in signatures.items()
        }
        definitions = get_model_metadata_pb2.SignatureDefMap()
        for name, signature in signatures.items():
            definitions.signature_def[name].CopyFrom(signature)
        self.metadata = MessageToDict(
            definitions, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
        )
        self._model = tf.saved_model.load(str(folder))
        if (requests := folder / "assets.extra" / WARM_UP).is_file():
            for name, inputs in read_requests(requests):
                self.run(name, inputs)

    def run(self, signature: str, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return a signature's outputs, or raise a RequestError if it refuses the values."""
        specs = self.specs[signature]
        tensors = {name: tf.constant(array, _dtype(specs[name])) for name, array in inputs.items()}
        try:
            outputs = self._model.signatures[signature](**tensors)
        except tf.errors.ResourceExhaustedError:
            raise RequestError(503, "Out of memory: send fewer rows", retry_after=1) from None
        except (tf.errors.InvalidArgumentError, ValueError) as error:
            raise RequestError(400, _reason(str(getattr(error, "message", error)))) from None
        return {name: output.numpy() for name, output in outputs.items()}


def _reason(message: str) -> str:
    """Return the model's own message from TensorFlow's error."""
    if found := re.search("assertion failed: (.*)", message):
        return re.sub(r"[\[\]]", "", found[1])
    return message.partition("\n")[0]


def _spec(info: Any) -> Spec:
    shape = tuple(None if dim.size < 0 else dim.size for dim in info.tensor_shape.dim)
    return Spec(np.dtype(tf.as_dtype(info.dtype).as_numpy_dtype), shape)


def _dtype(spec: Spec) -> tf.DType:
    return tf.string if spec.dtype == object else tf.as_dtype(spec.dtype)
