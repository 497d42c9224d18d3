"""What a signature takes, and requests to show it with: drawn pictures, sentences of its words."""

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

LARGEST_BATCH = 32  # what a server may put together, see `batching_parameters.txt`
FRAMES = 8  # of a sample clip, where the signature leaves their number open
_PIXELS = 96  # a side of a sample picture
_FEW_PIXELS = 32  # of one that is written as numbers
_TEXTS = 16  # different sample sentences


def read_signatures(folder: Path) -> dict[str, Any]:
    """Return the SignatureDefs of a SavedModel that take anything, by name."""
    message = saved_model_pb2.SavedModel()
    message.ParseFromString((folder / "saved_model.pb").read_bytes())
    return {
        name: signature
        for name, signature in sorted(message.meta_graphs[0].signature_def.items())
        if signature.inputs
    }


def sample_inputs(signature: Any, folder: Path, rows: int) -> dict[str, np.ndarray]:
    """Return a request of some rows for a signature, by the names and types of its inputs.

    A string input whose name ends in `_bytes` gets pictures, any other string sentences, bytes with
    three colours pixels, a number its default (1 if it has none). Inputs have a leading batch
    dimension but for scalars.

    Args:
        signature: a SignatureDef.
        folder: the SavedModel's, for its words.
        rows: the size of the batch.
    """
    inputs = {}
    for name, spec in signature.inputs.items():
        sides = [dim.size for dim in spec.tensor_shape.dim]
        shape = [rows, *(FRAMES if side < 0 else side for side in sides[1:])] if sides else []
        if spec.dtype == tf.uint8.as_datatype_enum and sides[-1:] == [3]:
            inputs[name] = _pixels(shape[:-3])
        elif spec.dtype == tf.string.as_datatype_enum:
            sample = _pictures if name.endswith("_bytes") else _sentences(folder)
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
    """Return a request in the row form of TensorFlow Serving's REST, to be written as JSON."""
    rows = len(next(iter(inputs.values())))
    instances = [
        {name: _json(name, values[row]) for name, values in inputs.items()} for row in range(rows)
    ]
    return {"instances": instances}


def as_columns(inputs: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Return a request in the columnar form of TensorFlow Serving's REST."""
    return {"inputs": {name: _json(name, values) for name, values in inputs.items()}}


def _json(name: str, value: Any) -> Any:
    """Return what stands for a value: bytes in base64 where the name says that they are bytes."""
    if isinstance(value, np.ndarray):
        return [_json(name, each) for each in value] if value.ndim else _json(name, value.item())
    if not isinstance(value, bytes):
        return value.item() if isinstance(value, np.generic) else value
    if name.endswith("_bytes"):
        return {"b64": base64.b64encode(value).decode()}
    return value.decode()


def _pictures() -> list[bytes]:
    """Return different drawn pictures as JPEG."""
    pictures = []
    for number in range(LARGEST_BATCH):
        buffer = io.BytesIO()
        pixels = render(scene_by_id(f"test-0-{number:05d}"), _PIXELS)
        Image.fromarray(pixels).save(buffer, "JPEG", quality=85)
        pictures.append(buffer.getvalue())
    return pictures


def _pixels(shape: list[int]) -> np.ndarray:
    """Return different small drawn pictures, uint8 `[*shape, height, width, 3]`."""
    ids = (f"test-0-{number % LARGEST_BATCH:05d}" for number in range(int(np.prod(shape))))
    pictures = np.stack([render(scene_by_id(each), _FEW_PIXELS) for each in ids])
    return pictures.reshape(*shape, *pictures.shape[1:])


def _sentences(folder: Path) -> Any:
    """Return what makes different sentences of the frequent words that a SavedModel reads."""
    for name in ("source-vocabulary.txt", "vocabulary.txt"):
        path = folder / "assets" / name
        if path.is_file():
            vocabulary = Vocabulary.load(path)
            words = vocabulary.words[len(SPECIAL) :][:500] or ("a",)
            join = vocabulary.separator.join
            break
    else:
        words, join = ("a", "short", "text"), " ".join

    def make() -> list[bytes]:
        rng = np.random.default_rng(0)
        lengths = rng.integers(3, 13, _TEXTS)
        return [join(rng.choice(words, length).tolist()).encode() for length in lengths]

    return make
