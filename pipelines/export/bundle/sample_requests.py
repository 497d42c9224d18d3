"""The inputs of a signature, and sample requests: generated images, random sentences."""

from __future__ import annotations

import base64
import io
import itertools
from collections.abc import Mapping, Sequence
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
    """Return a sample request of some rows for a SignatureDef of the SavedModel in `folder`.

    A string input whose name ends in `_bytes` gets images, any other string sentences of the
    model's words, uint8 with three channels pixels, a number its default (1 if it has none). Inputs
    except scalars have a leading batch dimension.
    """
    inputs = {}
    for name, spec in signature.inputs.items():
        sides = [dim.size for dim in spec.tensor_shape.dim]
        shape = [rows, *(FRAMES if side < 0 else side for side in sides[1:])] if sides else []
        if spec.dtype == tf.uint8.as_datatype_enum and sides[-1:] == [3]:
            inputs[name] = _pixels(shape[:-3])
        elif spec.dtype == tf.string.as_datatype_enum:
            values = _images() if name.endswith("_bytes") else _sentences(folder)
            values = list(itertools.islice(itertools.cycle(values), int(np.prod(shape))))
            inputs[name] = np.array(values, object).reshape(shape)
        else:
            default = signature.defaults.get(name)
            value = tf.make_ndarray(default) if default else np.ones([])
            kind = tf.as_dtype(spec.dtype).as_numpy_dtype
            inputs[name] = np.broadcast_to(value.ravel()[0], shape).astype(kind)
    return inputs


def request_bodies(inputs: Mapping[str, np.ndarray]) -> dict[str, dict[str, Any]]:
    """Return a request in the forms of TensorFlow Serving's REST API, by the key of its values.

    They are the columnar form `inputs` and, without scalars, the row form `instances`.
    """
    columns = {name: _json(name, values.tolist()) for name, values in inputs.items()}
    bodies: dict[str, dict[str, Any]] = {"inputs": {"inputs": columns}}
    if all(values.ndim for values in inputs.values()):
        rows = zip(*columns.values(), strict=True)
        instances = [dict(zip(columns, row, strict=True)) for row in rows]
        bodies["instances"] = {"instances": instances}
    return bodies


def _json(name: str, value: Any) -> Any:
    """Return a value for JSON: base64 for inputs whose name ends in `_bytes`."""
    if isinstance(value, list):
        return [_json(name, each) for each in value]
    if not isinstance(value, bytes):
        return value
    return {"b64": base64.b64encode(value).decode()} if name.endswith("_bytes") else value.decode()


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


def _sentences(folder: Path) -> list[bytes]:
    """Return distinct sentences of frequent words of the vocabulary."""
    words: Sequence[str] = ("a", "short", "text")
    for name in ("vocabulary.txt", "source-vocabulary.txt"):  # that of the inputs, if it has one
        path = folder / "assets" / name
        if path.is_file():
            vocabulary = Vocabulary.load(path)
            words = vocabulary.words[len(SPECIAL) :][:500] or ("a",)
    rng = np.random.default_rng(0)
    lengths = rng.integers(3, 13, _TEXTS)
    return [join(rng.choice(words, length).tolist()).encode() for length in lengths]
