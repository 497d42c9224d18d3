"""One version of a model, loaded: what it takes, how it is asked."""

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
    """A version in memory; its folder may go.

    Attributes:
        number: of the version.
        info: its wordreel.json.
        words: of its vocabulary; none if it has none.
        marks: whether it reads punctuation as words.
        specs: the inputs of each signature.
        metadata: its SignatureDefs, as TensorFlow Serving's REST shows them.
    """

    def __init__(self, number: int, folder: Path) -> None:
        """Load a SavedModel and answer its warm-up requests.

        Raises:
            Exception: whatever keeps it from being loaded and asked.
        """
        self.number = number
        self.info = read_info(folder)
        vocabulary = folder / "assets" / "vocabulary.txt"
        self.words = vocabulary.read_text("utf-8").split("\n")[:-1] if vocabulary.is_file() else []
        read = folder / "assets" / "source-vocabulary.txt"
        self.marks = read.is_file() and Vocabulary.load(read).punctuation
        signatures = read_signatures(folder)
        self.specs = {
            name: {key: _spec(given) for key, given in signature.inputs.items()}
            for name, signature in signatures.items()
        }
        shown = get_model_metadata_pb2.SignatureDefMap()
        for name, signature in signatures.items():
            shown.signature_def[name].CopyFrom(signature)
        self.metadata = MessageToDict(
            shown, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
        )
        self._model = tf.saved_model.load(str(folder))
        if (requests := folder / "assets.extra" / WARM_UP).is_file():
            for name, inputs in read_requests(requests):
                self.ask(name, inputs)

    def ask(self, signature: str, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return a signature's outputs.

        Raises:
            RequestError: if the model refuses the values.
        """
        specs = self.specs[signature]
        given = {name: tf.constant(array, _kind(specs[name])) for name, array in inputs.items()}
        try:
            outputs = self._model.signatures[signature](**given)
        except tf.errors.ResourceExhaustedError:
            raise RequestError(503, "Out of memory: ask with fewer rows", retry_after=1) from None
        except (tf.errors.InvalidArgumentError, ValueError) as error:
            raise RequestError(400, _reason(str(getattr(error, "message", error)))) from None
        return {name: output.numpy() for name, output in outputs.items()}


def _reason(message: str) -> str:
    r"""Return what the model says of values that it refuses, out of what TensorFlow says.

    >>> _reason("Graph execution error:\n\nassertion failed: [top_k must be >= 0, not] [-5]\n")
    'top_k must be >= 0, not -5'
    """
    if found := re.search("assertion failed: (.*)", message):
        return re.sub(r"[\[\]]", "", found[1])
    return message.partition("\n")[0]


def _spec(info: Any) -> Spec:
    sides = tuple(None if dim.size < 0 else dim.size for dim in info.tensor_shape.dim)
    return Spec(np.dtype(tf.as_dtype(info.dtype).as_numpy_dtype), sides)


def _kind(spec: Spec) -> tf.DType:
    return tf.string if spec.dtype == object else tf.as_dtype(spec.dtype)
