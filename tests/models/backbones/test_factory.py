"""Backbones: names, preprocessing, weights, files, fingerprints, fine-tuning."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from numpy.typing import NDArray

from models.backbones.factory import (
    add_frame_differences,
    add_pooling,
    build_backbone,
    default_image_size,
    fingerprint,
    split_backbone,
)
from models.encoder_head import apply_backbone

# Keras 3.15 saving a variable under NumPy 2.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

SIZE = 32  # the smallest size of keras.applications


@pytest.fixture(scope="module")
def photos() -> NDArray[np.float32]:
    values = np.random.default_rng(0).uniform(0, 255, (2, SIZE, SIZE, 3))
    return values.astype(np.float32)


@pytest.fixture(scope="module")
def mobilenet() -> keras.Model:
    return build_backbone("mobilenet_v2", weights="random", image_size=SIZE)


def conv_grid(size: int | None = 8, **options: Any) -> keras.Model:
    images = keras.Input((size, size, 3))
    x = keras.layers.Conv2D(4, 3, strides=2, padding="same", **options)(images)
    return keras.Model(images, keras.layers.BatchNormalization()(x))


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("small-cnn", 64),
        ("efficientnet-lite2", 260),
        ("mobilenet_v2", 224),
        ("MobileNetV2", 224),
        ("inception-v3", 299),
        ("EFFICIENTNETB7", 600),
    ],
)
def test_default_image_size(name: str, size: int) -> None:
    assert default_image_size(name) == size


@pytest.mark.parametrize("name", ["VGG16", "MobileNet", "DenseNet121", "MobileNetV3Small"])
def test_preprocessing_is_that_of_the_model_family(name: str, photos: NDArray[np.float32]) -> None:
    """Test one model family for each of the four kinds of pixel scaling."""
    model = build_backbone(name, weights="random", image_size=SIZE)
    family: Any = inspect.getmodule(getattr(keras.applications, name))
    expected = model.layers[-1](family.preprocess_input(photos.copy()))
    np.testing.assert_allclose(model(photos), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["VGG16", "MobileNet", "small-cnn"])
def test_a_saved_model_loads_with_the_same_outputs(
    name: str, photos: NDArray[np.float32], tmp_path: Path
) -> None:
    model = build_backbone(name, weights="random", image_size=SIZE)
    model.save(tmp_path / "model.keras")
    loaded = build_backbone(str(tmp_path / "model.keras"))
    np.testing.assert_array_equal(loaded(photos), model(photos))
    assert fingerprint(loaded) == fingerprint(model)


def test_a_saved_model_needs_no_keras(photos: NDArray[np.float32], tmp_path: Path) -> None:
    model = build_backbone("vgg16", weights="random", image_size=SIZE)
    model.export(tmp_path / "export", verbose=False)
    loaded = tf.saved_model.load(str(tmp_path / "export"))
    np.testing.assert_allclose(loaded.serve(photos), model(photos), rtol=1e-4, atol=1e-5)


def test_weights_file_is_loaded(mobilenet: keras.Model, tmp_path: Path) -> None:
    inner = mobilenet.layers[-1]
    inner.save_weights(tmp_path / "a.weights.h5")
    again = build_backbone("MobileNetV2", weights=str(tmp_path / "a.weights.h5"), image_size=SIZE)
    assert fingerprint(again) == fingerprint(mobilenet)


def test_small_cnn_loads_its_own_weights_file(tmp_path: Path) -> None:
    model = build_backbone("small-cnn")
    path = str(tmp_path / "a.weights.h5")
    model.save_weights(path)
    assert fingerprint(build_backbone("small-cnn", weights=path)) == fingerprint(model)
    assert fingerprint(build_backbone("small-cnn", weights="random")) != fingerprint(model)


def test_imagenet_weights_classify_photos(shared_data: Path) -> None:
    """Features of pretrained weights differ between two photos, and most are not zero."""
    path = shared_data / "weights" / "mobilenet_v2_1.0_224_notop.weights.h5"
    model = build_backbone("mobilenet_v2", weights=str(path))
    files = sorted((shared_data / "flickr8k" / "images").glob("*.jpg"))[:2]
    photos = [tf.image.resize(tf.io.decode_jpeg(file.read_bytes()), (224, 224)) for file in files]
    features = np.asarray(model(tf.stack(photos)))
    assert features.shape == (2, 7, 7, 1280)
    summaries = features.mean((1, 2))
    assert (summaries > 0).mean() > 0.5
    assert np.corrcoef(summaries)[0, 1] < 0.7


@pytest.mark.parametrize(
    ("name", "weights", "message"),
    [
        (
            "mobilenet_v2",
            "absent.weights.h5",
            "no file 'absent.weights.h5'.*'imagenet' or 'random'",
        ),
        ("small-cnn", "imagenet", "small-cnn has no ImageNet weights"),
        ("absent.keras", "auto", "no file 'absent.keras'"),
        ("absent.keras", "random", "a .keras file includes its weights"),
    ],
)
def test_invalid_weights_are_refused(name: str, weights: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build_backbone(name, weights=weights, image_size=SIZE)


def test_weights_file_that_does_not_fit(tmp_path: Path) -> None:
    path = tmp_path / "a.weights.h5"
    conv_grid().save_weights(path)
    with pytest.raises(ValueError, match=r"a\.weights\.h5 does not fit small_cnn"):
        build_backbone("small-cnn", weights=str(path))
    path.write_bytes(b"not hdf5")
    with pytest.raises(ValueError, match=r"a\.weights\.h5 does not fit small_cnn"):
        build_backbone("small-cnn", weights=str(path))
    with pytest.raises(ValueError, match=r"EfficientNetB0: a weights file .* save the whole model"):
        build_backbone("EfficientNetB0", weights=str(path), image_size=SIZE)


def test_a_failed_download_suggests_alternatives(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # An empty cache: KERAS_HOME is read only once, when Keras is imported.
    monkeypatch.setattr("keras.src.utils.file_utils.config.keras_home", lambda: str(tmp_path))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")  # no server listens on this port
    with pytest.raises(ValueError, match=r"VGG16 could not be downloaded.*a weights file"):
        build_backbone("vgg16", image_size=SIZE)


@pytest.mark.parametrize("size", [0, -3, 16])
def test_image_too_small(size: int) -> None:
    with pytest.raises(ValueError, match=r"at least 1 pixel|VGG16: Input size must be at least"):
        build_backbone("vgg16", weights="random", image_size=size)


def test_keras_file_with_any_size(tmp_path: Path, photos: NDArray[np.float32]) -> None:
    path = str(tmp_path / "free.keras")
    model = conv_grid(size=None)
    model.save(path)
    assert default_image_size(path) == 224
    loaded = build_backbone(path, image_size=SIZE)
    assert loaded.output_shape == (None, SIZE // 2, SIZE // 2, 4)
    np.testing.assert_array_equal(loaded(photos), model(photos))


def test_keras_file_with_a_fixed_size(tmp_path: Path) -> None:
    path = str(tmp_path / "fixed.keras")
    conv_grid(size=8).save(path)
    assert default_image_size(path) == 8
    assert build_backbone(path).output_shape == (None, 4, 4, 4)
    with pytest.raises(ValueError, match=r"takes images of \(8, 8\) pixels, not \(9, 9\)"):
        build_backbone(path, image_size=9)


def pooled() -> keras.Model:
    grid = conv_grid()
    return keras.Model(grid.input, keras.layers.GlobalAveragePooling2D()(grid.output))


def grayscale() -> keras.Model:
    images = keras.Input((8, 8, 1))
    return keras.Model(images, keras.layers.Conv2D(2, 3)(images))


def two_grids() -> keras.Model:
    grid = conv_grid()
    return keras.Model(grid.input, [grid.output, grid.output])


@pytest.mark.parametrize("build", [pooled, grayscale, two_grids])
def test_a_keras_file_with_other_shapes_is_refused(build: Any, tmp_path: Path) -> None:
    build().save(tmp_path / "a.keras")
    with pytest.raises(ValueError, match=r"a\.keras: a backbone takes .*this model takes.*pooling"):
        build_backbone(str(tmp_path / "a.keras"))


def test_a_file_that_keras_cannot_load_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.keras").write_bytes(b"hello")
    with pytest.raises(ValueError, match=r"a\.keras: not a model that Keras can load"):
        build_backbone(str(tmp_path / "a.keras"))


def test_fingerprint_ignores_names_and_freezing() -> None:
    first, second = conv_grid(), conv_grid()  # the layers of the second have other names
    second.set_weights(first.get_weights())
    assert [a.name for a in first.layers] != [b.name for b in second.layers]
    assert len(fingerprint(first)) == 16
    assert fingerprint(first) == fingerprint(second)
    nested = [keras.Sequential([keras.Input((8, 8, 3)), model]) for model in (first, second)]
    assert fingerprint(nested[0]) == fingerprint(nested[1])
    second.trainable = False
    assert fingerprint(first) == fingerprint(second)


def test_fingerprint_changes_with_the_function() -> None:
    first = conv_grid()
    seen = {fingerprint(first)}
    for change in ({"activation": "relu"}, {"dtype": "bfloat16"}, {"dilation_rate": 1}):
        other = conv_grid(**change)
        other.set_weights(first.get_weights())
        seen.add(fingerprint(other))
    assert len(seen) == 3  # the last is the default
    weights = first.get_weights()
    weights[-1][0] = np.nextafter(weights[-1][0], np.float32(2))
    first.set_weights(weights)
    assert fingerprint(first) not in seen


def test_fingerprint_depends_on_the_connections_of_layers() -> None:
    images = keras.Input((8, 8, 3))
    convs = [keras.layers.Conv2D(3, 1) for _ in range(3)]
    a, b, c = convs
    chain = keras.Model(images, c(b(a(images))))
    x = a(images)
    branch = keras.Model(images, [keras.layers.Identity()(x), c(b(x))])
    first = keras.Model(images, keras.layers.Add()([b(x), a(b(x))]))
    second = keras.Model(images, keras.layers.Add()([b(x), b(b(x))]))
    assert len({fingerprint(model) for model in (chain, branch, first, second)}) == 4


def test_fine_tuning_updates_convolutions_but_not_batch_norm_statistics(
    tmp_path: Path, mobilenet: keras.Model, photos: NDArray[np.float32]
) -> None:
    mobilenet.save(tmp_path / "mobilenet.keras")
    model = build_backbone(str(tmp_path / "mobilenet.keras"))
    before = [variable.numpy() for variable in model.non_trainable_variables]
    assert len(before) == 208  # scale, shift, mean and variance of each of 52 batch norms
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(tf.square(model(photos, training=True) - 1.0))
    gradients = tape.gradient(loss, model.trainable_variables)
    for variable, gradient in zip(model.trainable_variables, gradients, strict=True):
        assert gradient is not None, variable.path
        if "kernel" in variable.path:
            assert np.abs(gradient).max() > 0, variable.path
    for variable, value in zip(model.non_trainable_variables, before, strict=True):
        np.testing.assert_array_equal(variable.numpy(), value)


@pytest.mark.parametrize("name", ["small-cnn", "efficientnet-lite0", "ResNet50", "MobileNetV2"])
def test_the_two_parts_equal_the_backbone_and_only_the_top_is_trainable(name: str) -> None:
    whole = build_backbone(name, weights="random", image_size=64)
    lower, top = split_backbone(whole)
    images = np.random.default_rng(0).uniform(0, 255, (2, 64, 64, 3)).astype(np.float32)
    np.testing.assert_allclose(top(lower(images)), whole(images), atol=1e-5)
    assert lower.output_shape[1] == 2 * top.output_shape[1]
    assert 0 < len(whole.trainable_variables) == len(top.trainable_variables)
    assert lower.trainable_variables == []


def test_a_network_without_residual_blocks_cannot_be_split() -> None:
    with pytest.raises(ValueError, match="has no residual block before"):
        split_backbone(build_backbone("VGG16", weights="random", image_size=64))


@pytest.mark.parametrize("vector", [True, False])
def test_frame_differences_pass_through_the_same_weights(vector: bool) -> None:
    grid = build_backbone("small-cnn", image_size=32)
    plain = add_pooling(grid) if vector else grid
    both = add_frame_differences(plain)
    assert fingerprint(both) == fingerprint(add_frame_differences(plain)) != fingerprint(plain)
    assert both.count_params() == plain.count_params()
    frames = np.random.default_rng(0).uniform(0, 255, (4, 32, 32, 3)).astype(np.float32)
    pairs = np.concatenate([frames[1:], frames[:-1]], axis=-1)
    changes = np.clip(127.5 + frames[1:] - frames[:-1], 0, 255)
    wanted = np.concatenate([apply_backbone(plain, now) for now in (frames[1:], changes)], axis=-1)
    np.testing.assert_allclose(apply_backbone(both, pairs), wanted, atol=1e-5)


def test_batch_norms_are_trainable_only_from_scratch(tmp_path: Path) -> None:
    images = np.random.default_rng(0).uniform(0, 255, (4, 64, 64, 3)).astype(np.float32)
    model = build_backbone("small-cnn")
    assert not np.allclose(model(images, training=True), model(images), atol=1e-3)
    model.save(tmp_path / "cnn.keras")
    frozen = build_backbone(str(tmp_path / "cnn.keras"))
    np.testing.assert_array_equal(frozen(images, training=True), frozen(images))
