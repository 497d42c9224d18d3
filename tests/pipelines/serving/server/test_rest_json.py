"""TensorFlow Serving's REST API: JSON to arrays and back, refusals, never a crash."""

from __future__ import annotations

import base64
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.serving.server.errors import RequestError
from pipelines.serving.server.rest_json import MAX_TEXT, Spec, answer, parse

STRING, FLOAT, INT = np.dtype(object), np.dtype(np.float32), np.dtype(np.int32)
SIGNATURES = {
    "serving_default": {"image_bytes": Spec(STRING, (None,))},
    "sample": {
        "image_bytes": Spec(STRING, (None,)),
        "temperature": Spec(FLOAT, (None,)),
        "top_k": Spec(INT, (None,)),
    },
    "clip": {"frame_bytes": Spec(STRING, (None, None))},
    "scalar": {"text": Spec(STRING, (None,)), "seed": Spec(INT, ())},
}
BYTES = b"\xff\xd8\xff\x00\x01"
B64 = {"b64": base64.b64encode(BYTES).decode()}


def ask(**body: Any) -> Any:
    return parse(json.dumps(body).encode(), SIGNATURES)


@pytest.mark.parametrize(
    "body",
    [
        {"instances": [B64, B64]},
        {"instances": [{"image_bytes": B64}, {"image_bytes": B64}]},
        {"inputs": [B64, B64]},
        {"inputs": {"image_bytes": [B64, B64]}, "signature_name": ""},
    ],
)
def test_all_forms_are_equivalent(body: Any) -> None:
    asked = ask(**body)
    assert asked.signature == "serving_default"
    assert asked.inputs["image_bytes"].tolist() == [BYTES, BYTES]
    assert asked.rows == ("instances" in body)


def test_rows_and_columns_of_several_inputs() -> None:
    row = {"image_bytes": "a", "temperature": 2, "top_k": 3}
    rows = ask(signature_name="sample", instances=[row, {**row, "temperature": 0.5}])
    columns = ask(
        signature_name="sample",
        inputs={"image_bytes": ["a", "a"], "temperature": [2, 0.5], "top_k": [3, 3]},
    )
    for name in row:
        assert rows.inputs[name].tolist() == columns.inputs[name].tolist()
        assert rows.inputs[name].dtype == SIGNATURES["sample"][name].dtype
    scalar = ask(signature_name="scalar", inputs={"text": ["été", "b"], "seed": 7}).inputs
    assert scalar["seed"].shape == () and scalar["text"][0].decode() == "été"
    clip = ask(signature_name="clip", instances=[[B64, B64]]).inputs["frame_bytes"]
    assert clip.shape == (1, 2)


def test_base64_may_lack_padding_and_contain_newlines() -> None:
    whole = base64.b64encode(b"abcd").decode()
    for text in (whole, whole.rstrip("="), whole[:3] + "\n" + whole[3:]):
        assert ask(inputs=[{"b64": text}]).inputs["image_bytes"].tolist() == [b"abcd"]


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"", "The document is empty"),
        (b"{", "JSON Parse error"),
        (b"\xff\xfe", "JSON Parse error"),
        (b"[" * 100_000, "JSON Parse error"),
        (b'{"inputs": ' + b"9" * 10_000 + b"}", "JSON Parse error"),
        (b"[]", "Is not object"),
        (b"{}", "Missing 'inputs' or 'instances' key"),
        (b'{"inputs": [], "instances": []}', "only one of"),
        (b'{"signature_name": 3, "inputs": ["a"]}', "must be a string"),
        (b'{"signature_name": "beams", "inputs": ["a"]}', '"beams" not found in signature def'),
        (b'{"instances": "a"}', "to be an list/array"),
        (b'{"instances": []}', "No values in 'instances'"),
        (b'{"instances": ["a", {"image_bytes": "b"}]}', "Expecting value/list but got object"),
        (b'{"instances": [{"image_bytes": "a"}, "b"]}', "Expecting object but got list at item 1"),
        (b'{"instances": [{"image": "a"}]}', "keys must be equal to: image_bytes"),
        (b'{"inputs": {"image": ["a"]}}', "Missing named input: image_bytes"),
        (b'{"inputs": {"image_bytes": ["a"], "x": 1}}', "does not have named input: x"),
        (b'{"inputs": "a"}', r"must have the shape \[-1\], but got \[\]"),
        (b'{"inputs": [["a"]]}', r"must have the shape \[-1\], but got \[1, 1\]"),
        (b'{"inputs": ["a", ["b"]]}', "is not of expected type: string"),
        (b'{"inputs": [1]}', "is not of expected type: string"),
        (b'{"inputs": [{"b64": "@@"}]}', "Unable to base64 decode"),
        (b'{"inputs": [{"b64": "abcde"}]}', "Unable to base64 decode"),
        (b'{"inputs": [{"b64": 3}]}', "is not of expected type|Missing named input"),
        (b'{"inputs": ["\\ud800"]}', "not valid Unicode"),
        (b'{"signature_name": "\\uD83D", "inputs": ["a"]}', "not valid Unicode"),
        (b'{"inputs": ["\xed\xa0\x80"]}', "JSON Parse error"),
        (b'{"signature_name": "clip", "instances": [["a"], ["b", "c"]]}', "unexpected size"),
        (b'{"signature_name": "sample", "instances": ["a"]}', "expecting list of objects"),
        (b'{"signature_name": "sample", "inputs": ["a"]}', "expecting an object"),
    ],
)
def test_a_malformed_request_is_refused_with_a_reason(body: bytes, error: str) -> None:
    with pytest.raises(RequestError, match=error) as caught:
        parse(body, SIGNATURES)
    assert caught.value.status == 400
    assert len(caught.value.message) < 500


@pytest.mark.parametrize(
    ("values", "error"),
    [
        ({"top_k": [1.5]}, "expected type: int32"),
        ({"top_k": [True]}, "expected type: int32"),
        ({"top_k": [2**40]}, "too large for int32"),
        ({"temperature": ["hot"]}, "expected type: float32"),
        ({"temperature": [10**400]}, "JSON Parse error|too large"),
        ({"temperature": [1.0, 2.0]}, "same number of rows"),
    ],
)
def test_numbers_are_not_converted(values: Any, error: str) -> None:
    inputs = {"image_bytes": ["a"], "temperature": [1.0], "top_k": [0], **values}
    with pytest.raises(RequestError, match=error):
        ask(signature_name="sample", inputs=inputs)


def test_a_very_long_text_is_refused() -> None:
    most = "a" * MAX_TEXT
    assert ask(signature_name="scalar", inputs={"text": [most], "seed": 1}).inputs["text"].size == 1
    with pytest.raises(RequestError, match="a text has 100,001 bytes") as caught:
        ask(signature_name="scalar", inputs={"text": ["a", most + "a"], "seed": 1})
    assert caught.value.status == 413
    assert ask(inputs=[most + "a"]).inputs.keys() == {"image_bytes"}  # may be any file


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda each: (
        st.lists(each, max_size=3)
        | st.dictionaries(st.sampled_from(["b64", "image_bytes", "top_k", "x"]), each, max_size=3)
    ),
    max_leaves=8,
)


@given(st.sampled_from([*SIGNATURES, "none"]), st.sampled_from(["inputs", "instances"]), JSON)
def test_any_json_is_parsed_or_refused(signature: str, key: str, value: Any) -> None:
    try:
        asked = parse(json.dumps({"signature_name": signature, key: value}).encode(), SIGNATURES)
    except RequestError as error:
        assert error.status == 400
    else:
        assert asked.inputs.keys() == SIGNATURES[signature].keys()


@given(st.lists(st.floats(width=32), max_size=20))
def test_floats_have_six_significant_digits(values: list[float]) -> None:
    written = answer({"scores": np.array(values, np.float32)}, rows=False)
    for got, value in zip(json.loads(written)["outputs"], values, strict=True):
        exact = float(f"{value:.6g}")
        assert got == exact or (np.isnan(got) and np.isnan(value)) or abs(got / exact - 1) < 2e-6
        if 1e-16 < abs(value) < 1e25:
            assert len(f"{got!r}".replace(".", "").lstrip("-0").partition("e")[0].rstrip("0")) <= 6


def test_a_response_has_the_form_of_its_request() -> None:
    outputs = {
        "caption": np.array(["été".encode(), b"b"], object),
        "scores": np.array([[0.1, -np.inf], [1 / 3, 2]], np.float32),
        "crop_bytes": np.array([BYTES, b""], object),
        "valid": np.array([True, False]),
    }
    rows = json.loads(answer(outputs, rows=True))["predictions"]
    assert rows[0] == {
        "caption": "été",
        "scores": [0.1, -np.inf],
        "crop_bytes": B64,
        "valid": True,
    }
    columns = json.loads(answer(outputs, rows=False))["outputs"]
    assert columns["scores"][1] == [0.333333, 2.0]
    one = {"label": np.array([b"good"], object)}
    assert json.loads(answer(one, rows=True)) == {"predictions": ["good"]}
    assert json.loads(answer(one, rows=False)) == {"outputs": ["good"]}
