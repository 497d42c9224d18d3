"""The inputs of a signature, and sample requests: generated images, random sentences."""

from __future__ import annotations

import base64
import io
import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from PIL import Image
from tensorflow.core.protobuf import saved_model_pb2

from data.builtin.scenes import render, scene_by_id
from data.media.vocabulary import SPECIAL, Vocabulary
from data.media.words import join

LARGEST_BATCH = 32  # of a server, see `batching_parameters.txt`
FRAMES = 8  # of a sample clip, if the signature does not fix their number
_SIDE = 96  # pixels, of a sample image
_SMALL_SIDE = 32  # of one written as numbers
_TEXTS = 16  # distinct sample sentences


def read_signatures(folder: Path) -> dict[str, Any]:
    """Return the SignatureDefs of a SavedModel that have inputs, by name."""
    message = saved_model_pb2.SavedModel()
    message.ParseFromString((folder / "saved_model.pb").read_bytes())
    return {
        name: signature
        for name, signature in sorted(message.meta_graphs[0].signature_def.items())
        if signature.inputs
    }


def sample_inputs(signature: Any, folder: Path, rows: int) -> dict[str, np.ndarray]:
    """Return a sample request for a signature, from the names and types of its inputs.

    A string input whose name ends in `_bytes` gets images, any other string sentences, uint8 with
    three channels pixels, a number its default (1 if it has none). Inputs except scalars have a
    leading batch dimension.

    Args:
        signature: a SignatureDef.
        folder: of the SavedModel, for its vocabulary.
        rows: the size of the batch.
    """
    inputs = {}
    for name, spec in signature.inputs.items():
        sides = [dim.size for dim in spec.tensor_shape.dim]
        shape = [rows, *(FRAMES if side < 0 else side for side in sides[1:])] if sides else []
        if spec.dtype == tf.uint8.as_datatype_enum and sides[-1:] == [3]:
            inputs[name] = _pixels(shape[:-3])
        elif spec.dtype == tf.string.as_datatype_enum:
            sample = _images if name.endswith("_bytes") else _sentences(folder)
            count = int(np.prod(shape))
            values = list(itertools.islice(itertools.cycle(sample()), count))
            inputs[name] = np.array(values, object).reshape(shape)
        else:
            default = signature.defaults.get(name)
            value = tf.make_ndarray(default) if default else np.ones([])
            kind = tf.as_dtype(spec.dtype).as_numpy_dtype
            inputs[name] = np.broadcast_to(value.ravel()[0], shape).astype(kind)
    return inputs


def as_rows(inputs: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Return a request in the row form of TensorFlow Serving's REST API, for JSON."""
    rows = len(next(iter(inputs.values())))
    instances = [
        {name: _json(name, values[row]) for name, values in inputs.items()} for row in range(rows)
    ]
    return {"instances": instances}


def as_columns(inputs: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Return a request in the columnar form of TensorFlow Serving's REST API, for JSON."""
    return {"inputs": {name: _json(name, values) for name, values in inputs.items()}}


def _json(name: str, value: Any) -> Any:
    """Return a value for JSON: base64 for inputs whose name ends in `_bytes`."""
    if isinstance(value, np.ndarray):
        return [_json(name, each) for each in value] if value.ndim else _json(name, value.item())
    if not isinstance(value, bytes):
        return value.item() if isinstance(value, np.generic) else value
    if name.endswith("_bytes"):
        return {"b64": base64.b64encode(value).decode()}
    return value.decode()


def _images() -> list[bytes]:
    """Return distinct generated images as JPEG."""
    images = []
    for number in range(LARGEST_BATCH):
        buffer = io.BytesIO()
        pixels = render(scene_by_id(f"test-0-{number:05d}"), _SIDE)
        Image.fromarray(pixels).save(buffer, "JPEG", quality=85)
        images.append(buffer.getvalue())
    return images


def _pixels(shape: list[int]) -> np.ndarray:
    """Return distinct small generated images, uint8 `[*shape, height, width, 3]`."""
    ids = (f"test-0-{number % LARGEST_BATCH:05d}" for number in range(int(np.prod(shape))))
    images = np.stack([render(scene_by_id(each), _SMALL_SIDE) for each in ids])
    return images.reshape(*shape, *images.shape[1:])


def _sentences(folder: Path) -> Any:
    """Return a function that makes distinct sentences of frequent words of the vocabulary."""
    for name in ("source-vocabulary.txt", "vocabulary.txt"):
        path = folder / "assets" / name
        if path.is_file():
            vocabulary = Vocabulary.load(path)
            words = vocabulary.words[len(SPECIAL) :][:500] or ("a",)
            break
    else:
        words = ("a", "short", "text")

    def make() -> list[bytes]:
        rng = np.random.default_rng(0)
        lengths = rng.integers(3, 13, _TEXTS)
        return [join(rng.choice(words, length).tolist()).encode() for length in lengths]

    return make
