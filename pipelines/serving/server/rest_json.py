"""TensorFlow Serving's REST API: JSON requests to arrays, arrays to JSON responses.

The rules and most messages are those of its json_tensor.cc, so that a client works with both:
https://www.tensorflow.org/tfx/serving/api_rest
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import json
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from pipelines.serving.server.errors import RequestError

MAX_TEXT = 100_000  # bytes; a model tokenizes all of a text before it truncates it
_MAX_QUOTED = 80  # characters of a client's input quoted in an error
_POWERS = np.array([float(f"1e{power}") for power in range(52)])  # of ten, for all float32
_HALF = re.compile(r"\\u[dD][89a-fA-F]")  # may be half of a surrogate pair
_BASE64 = re.compile(r"[A-Za-z0-9+/\s]*={0,2}\s*")


class Spec(NamedTuple):
    """An input of a signature: NumPy dtype (object for strings) and shape (None: any size)."""

    dtype: np.dtype[Any]
    shape: tuple[int | None, ...]


class Query(NamedTuple):
    """A parsed predict request; `rows`: whether it used `instances`, so must the response."""

    signature: str
    inputs: dict[str, np.ndarray]
    rows: bool


def bad(message: str) -> RequestError:
    """Return the error for a malformed request."""
    return RequestError(400, message)


def parse(body: bytes, signatures: Mapping[str, Mapping[str, Spec]]) -> Query:
    """Read the body of a predict request.

    Args:
        body: JSON with `instances` or `inputs` and, optionally, `signature_name`.
        signatures: the inputs of each signature of the model.

    Raises:
        RequestError: with status 400, or 413 for a text that is too long.
    """
    request = document(body)
    signature = request.get("signature_name", "")
    if not isinstance(signature, str):
        raise bad("'signature_name' key must be a string value.")
    signature = signature or "serving_default"
    if signature not in signatures:
        raise bad(
            f'Serving signature name: "{_cut(signature)}" not found in signature def. '
            f"There are: {', '.join(signatures)}"
        )
    specs = signatures[signature]
    if ("instances" in request) == ("inputs" in request):
        if "inputs" in request:
            raise bad("Expecting only one of 'inputs' or 'instances' keys to exist")
        raise bad("Missing 'inputs' or 'instances' key")
    if "instances" in request:
        columns = _from_instances(request["instances"], specs)
    else:
        columns = _from_inputs(request["inputs"], specs)
    inputs = {name: _array(name, value, specs[name]) for name, value in columns.items()}
    sizes = {name: len(array) for name, array in inputs.items() if array.ndim}
    if len(set(sizes.values())) > 1:
        raise bad(f"Inputs must have the same number of rows, not {sizes}")
    return Query(signature, inputs, "instances" in request)


def answer(outputs: Mapping[str, np.ndarray], rows: bool) -> bytes:
    """Return the response to a predict request: `predictions` for `rows`, else `outputs`."""
    names = sorted(outputs)
    lists = {name: _plain(name, outputs[name]) for name in names}
    if rows:
        alone = len(names) == 1
        each = zip(*lists.values(), strict=True)
        found = [row[0] if alone else dict(zip(names, row, strict=True)) for row in each]
        return _dump({"predictions": found})
    return _dump({"outputs": lists[names[0]] if len(names) == 1 else lists})


def document(body: bytes) -> dict[str, Any]:
    """Return the JSON object in a body, or raise a RequestError (400)."""
    if not body:
        raise bad("JSON Parse error: The document is empty")
    try:
        text = body.decode("utf-8-sig")
        found = json.loads(text)
        if _HALF.search(text):
            json.dumps(found, ensure_ascii=False).encode()
    except json.JSONDecodeError as error:
        raise bad(f"JSON Parse error: {error.msg} at offset: {error.pos}") from None
    except UnicodeEncodeError:  # half of a surrogate pair: no response could quote it
        raise bad("JSON Parse error: a text is not valid Unicode") from None
    except (ValueError, RecursionError) as error:  # not UTF-8, too many digits, too deep
        raise bad(f"JSON Parse error: {_cut(str(error))}") from None
    if not isinstance(found, dict):
        raise bad(f"JSON Value: {_show(found)} Is not object")
    return found


def check_text(name: str, size: int) -> None:
    """Raise a RequestError (413) for a text of more than `MAX_TEXT` bytes."""
    if size > MAX_TEXT:
        message = f"Input {name}: a text has {size:,} bytes, the limit is {MAX_TEXT:,}"
        raise RequestError(413, message)


def _from_instances(instances: Any, specs: Mapping[str, Spec]) -> dict[str, Any]:
    """Turn rows into columns; each row must have exactly the inputs of the signature."""
    if not isinstance(instances, list):
        raise bad("Expecting 'instances' to be an list/array")
    if not instances:
        raise bad("No values in 'instances' array")
    if not _is_object(instances[0]):
        if len(specs) > 1:
            raise bad(
                "instances is a plain list, but expecting list of objects as multiple input "
                f"tensors required: {', '.join(sorted(specs))}"
            )
        if any(_is_object(row) for row in instances):
            raise bad("Expecting value/list but got object in 'instances' list")
        return {next(iter(specs)): instances}
    for number, row in enumerate(instances):
        if not _is_object(row):
            raise bad(f"Expecting object but got list at item {number} of input list")
        if row.keys() != specs.keys():
            raise bad(
                f"Failed to process element: {number} of 'instances' list. JSON object: "
                f"{_show(row)} keys must be equal to: {','.join(sorted(specs))}"
            )
    return {name: [row[name] for row in instances] for name in specs}


def _from_inputs(inputs: Any, specs: Mapping[str, Spec]) -> dict[str, Any]:
    if not _is_object(inputs):
        if len(specs) > 1:
            raise bad(
                "inputs is a plain value/list, but expecting an object as multiple input tensors "
                f"required: {', '.join(sorted(specs))}"
            )
        return {next(iter(specs)): inputs}
    for name in specs:
        if name not in inputs:
            raise bad(f"Missing named input: {name} in 'inputs' object.")
    if strange := inputs.keys() - specs.keys():  # TensorFlow Serving would ignore them
        raise bad(
            f"JSON object: does not have named input: {_cut(min(strange))}. "
            f"There are: {', '.join(sorted(specs))}"
        )
    return {name: inputs[name] for name in specs}


def _array(name: str, value: Any, spec: Spec) -> np.ndarray:
    """Convert a JSON value to an array with the dtype and shape of `spec`."""
    shape = _shape(value)
    fits = len(shape) == len(spec.shape) and all(
        side in (None, found) for side, found in zip(spec.shape, shape, strict=True)
    )
    if not fits:
        wanted = [-1 if side is None else side for side in spec.shape]
        raise bad(f"Input {name} must have the shape {wanted}, but got {list(shape)}")
    flat: list[Any] = []
    _flatten(name, value, shape, spec, flat)
    if spec.dtype.kind == "O" and not name.endswith("_bytes"):
        check_text(name, max(map(len, flat), default=0))
    try:
        array = np.empty(len(flat), spec.dtype)
        array[:] = flat
    except OverflowError:
        raise bad(f"Input {name}: a number is too large for {spec.dtype.name}") from None
    return array.reshape(shape)


def _shape(value: Any) -> tuple[int, ...]:
    """Return the shape of the first elements; `_flatten` checks the others."""
    shape: list[int] = []
    while isinstance(value, list) and len(shape) < 8:
        shape.append(len(value))
        if not value:
            break
        value = value[0]
    return tuple(shape)


def _flatten(name: str, value: Any, shape: tuple[int, ...], spec: Spec, flat: list[Any]) -> None:
    if not shape:
        flat.append(_scalar(name, value, spec.dtype))
        return
    if not isinstance(value, list) or len(value) != shape[0]:
        raise bad(
            f"Input {name}: Encountered list at unexpected size or level, expected size: {shape[0]}"
        )
    for each in value:
        _flatten(name, each, shape[1:], spec, flat)


def _scalar(name: str, value: Any, dtype: np.dtype[Any]) -> Any:
    """Return a value of a dtype; strings and numbers are never converted to each other."""
    if dtype.kind == "O":
        if isinstance(value, str):
            return value.encode()
        if _is_base64(value):
            return _from_base64(name, value["b64"])
    elif dtype.kind == "b":
        if isinstance(value, bool):
            return value
    elif not isinstance(value, bool) and (
        isinstance(value, int) or (isinstance(value, float) and dtype.kind == "f")
    ):
        return value
    kind = "string" if dtype.kind == "O" else dtype.name
    raise bad(f"Input {name}: JSON Value: {_show(value)} is not of expected type: {kind}")


def _from_base64(name: str, text: str) -> bytes:
    with contextlib.suppress(ValueError):  # fast path for standard base64
        return binascii.a2b_base64(text, strict_mode=True)
    if not _BASE64.fullmatch(text):
        raise bad(f"Input {name}: Unable to base64 decode")
    text = re.sub(r"[\s=]", "", text)
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4))
    except binascii.Error:
        raise bad(f"Input {name}: Unable to base64 decode") from None


def _is_base64(value: Any) -> bool:
    return isinstance(value, dict) and value.keys() == {"b64"} and isinstance(value["b64"], str)


def _is_object(value: Any) -> bool:
    return isinstance(value, dict) and not _is_base64(value)


def _plain(name: str, array: np.ndarray) -> Any:
    """Return an array as JSON values; floats with 6 significant digits, as float32 has."""
    if array.dtype == object:
        if name.endswith("_bytes"):
            return _nested(array, lambda value: {"b64": base64.b64encode(value).decode()})
        return _nested(array, lambda value: value.decode(errors="replace"))
    return (_rounded(array) if array.dtype.kind == "f" else array).tolist()


def _rounded(array: np.ndarray) -> np.ndarray:
    """Round to 6 significant digits, to the float64 that Python prints with no more digits.

    An integer below 2**53 divided by a power of ten up to 22 is the float64 nearest to the decimal.
    """
    wide = array.astype(np.float64)
    size = np.where(np.isfinite(wide) & (wide != 0), np.abs(wide), 1.0)
    places = 5 - np.floor(np.log10(size)).astype(int)
    up, down = _POWERS[np.maximum(places, 0)], _POWERS[np.maximum(-places, 0)]
    return np.rint(wide * up / down) * down / up


def _nested(array: np.ndarray, write: Any) -> Any:
    flat = np.empty(array.size, object)
    flat[:] = [write(value) for value in array.ravel().tolist()]
    return flat.reshape(array.shape).tolist()


def _dump(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _show(value: Any) -> str:
    return _cut(json.dumps(value, ensure_ascii=False)[: 4 * _MAX_QUOTED])


def _cut(text: str) -> str:
    return text if len(text) <= _MAX_QUOTED else text[:_MAX_QUOTED] + "…"
