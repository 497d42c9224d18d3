"""The Keras models of the six tasks: trained, saved, loaded, exported."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from data.media.vocabulary import Vocabulary
from models.layers.losses import cross_entropy
from pipelines.serving.client.exported_model import ExportedModel
from pipelines.task_models import MODELS
from pipelines.task_models.base import TaskModel
from pipelines.task_models.labels import LabelModel
from pipelines.task_models.sentences import SentenceModel
from tests.support.paths import ROOT
from tests.support.tiny.task_models import CAPTIONS, inputs_of, targets_of, untrained
from tests.support.unverified_exports import unverified_exports

every_task = pytest.mark.parametrize("task", MODELS)


def answers(model: TaskModel, inputs: Any) -> list[str]:
    if isinstance(model, SentenceModel):
        found = model.generate(inputs)
        assert all(isinstance(each, str) for each in found)
        return found  # type: ignore[return-value]
    assert isinstance(model, LabelModel)
    return model.classify(inputs)


@every_task
def test_a_saved_model_has_the_same_outputs(task: str, tmp_path: Path) -> None:
    model = untrained(task)
    model.save(tmp_path / "model.keras")
    copy = keras.saving.load_model(tmp_path / "model.keras")
    assert type(copy) is type(model)
    inputs, targets = inputs_of(task), tf.constant(targets_of(task))
    for own, other in zip(
        model.preprocessor(inputs, targets), copy.preprocessor(inputs, targets), strict=True
    ):
        keras.tree.map_structure(np.testing.assert_array_equal, own, other)
    x, *_ = model.preprocessor(inputs, targets)
    np.testing.assert_array_equal(model(x), copy(x))


def test_a_model_learns_and_continues_after_loading(tmp_path: Path) -> None:
    task = "image-classification"
    model, inputs, targets = untrained(task), inputs_of(task), targets_of(task)
    model.compile(optimizer=keras.optimizers.Adam(0.02))
    data = tf.constant(inputs)
    history = model.fit(
        data, targets, epochs=30, batch_size=6, validation_data=(data, targets), verbose=0
    ).history
    assert history["loss"][-1] < 0.3 * history["loss"][0]
    assert set(history) == {"loss", "accuracy", "val_loss", "val_accuracy"}
    assert answers(model, inputs) == [text.lower() for text in targets]
    model.save(tmp_path / "model.keras")
    copy = keras.saving.load_model(tmp_path / "model.keras")
    assert copy.optimizer.iterations == 30
    assert copy.fit(data, targets, batch_size=6, verbose=0).history["loss"] == pytest.approx(
        model.fit(data, targets, batch_size=6, verbose=0).history["loss"], rel=1e-4
    )


@pytest.fixture(scope="module")
def captioner() -> SentenceModel:
    """Return a captioner that was trained on encoded images in a dataset."""
    model = untrained("image-captioning")
    assert isinstance(model, SentenceModel)
    model.compile(optimizer=keras.optimizers.Adam(0.02))
    files = [png(image) for image in inputs_of("image-captioning")]
    data = tf.data.Dataset.from_tensor_slices((files, targets_of("image-captioning")))
    model.fit(data.batch(3).repeat(25), verbose=0)  # an epoch of its own would start slowly
    return model


def png(image: np.ndarray) -> bytes:
    encoded: bytes = tf.io.encode_png(image).numpy()
    return encoded


def test_a_saved_model_an_export_and_a_new_process_give_the_same(
    captioner: SentenceModel, tmp_path: Path
) -> None:
    files = [png(image) for image in inputs_of("image-captioning")[:2]]
    expected = captioner.generate(files, beams=4, num_return=3)
    assert [each[0] for each in expected] == ["a red circle", "two blue squares"]
    assert all(len(each) == len({*each}) == 3 for each in expected)
    assert captioner.predict(files).tolist() == captioner.generate(files)

    captioner.save(tmp_path / "model.keras")
    for number, file in enumerate(files):
        (tmp_path / f"{number}.png").write_bytes(file)
    program = (
        "import keras, sys, tensorflow as tf, pipelines.task_models\n"
        "model = keras.saving.load_model('model.keras')\n"
        "files = [open(f'{number}.png', 'rb').read() for number in range(2)]\n"
        "print(model.generate(files, beams=4, num_return=3))\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert ast.literal_eval(done.stdout.splitlines()[-1]) == expected

    with unverified_exports():
        version = captioner.export(tmp_path / "export")
    found = ExportedModel(version).outputs(files)
    assert [row["caption"].decode() for row in found] == captioner.generate(files)  # type: ignore
    assert json.loads((version / "assets.extra" / "wordreel.json").read_text())["task"] == (
        "image-captioning"
    )


def test_the_loss_is_that_of_training(captioner: SentenceModel) -> None:
    images, captions = inputs_of("image-captioning"), targets_of("image-captioning")
    x, tokens, weights = captioner.preprocessor(images, captions)
    before = tf.concat([x["tokens"], tokens[:, -1:]], axis=1)
    targets = before, tf.range(len(images))
    expected = captioner.training_loss(x["inputs"], targets)
    found, accuracy = captioner.evaluate(images, captions, verbose=0)
    assert found == pytest.approx(float(expected), rel=1e-4)
    logits = captioner(x)
    losses = cross_entropy(tf.reshape(logits, [-1, logits.shape[-1]]), tf.reshape(tokens, [-1]))
    real = tf.reshape(weights, [-1])
    assert found == pytest.approx(float(tf.reduce_sum(losses * real) / tf.reduce_sum(real)), 1e-4)
    right = tf.cast(tf.argmax(logits, axis=-1) == tf.cast(tokens, tf.int64), tf.float32)
    assert accuracy == pytest.approx(float(tf.reduce_sum(right * weights) / tf.reduce_sum(real)))


def test_an_image_may_have_several_captions(captioner: SentenceModel) -> None:
    images = inputs_of("image-captioning")[:2]
    several = [["a red circle", "red"], ["two blue squares"]]
    one = captioner.evaluate(images[[0, 0, 1]], ["a red circle", "red", "two blue squares"])
    assert captioner.evaluate(images, several) == pytest.approx(one)


def test_a_weight_of_zero_leaves_a_row_out(captioner: SentenceModel) -> None:
    images, captions = inputs_of("image-captioning")[:2], ["a red circle", "blue"]
    data = tf.data.Dataset.from_tensors((images, captions, [1.0, 0.0]))
    assert captioner.evaluate(data) == pytest.approx(captioner.evaluate(images[:1], captions[:1]))


@pytest.mark.parametrize(
    ("images", "captions", "message"),
    [
        (np.full((2, 8, 8, 3), 0.5, np.float32), ["a", "red"], "images must be in 0..255"),
        (np.full((2, 8, 8, 3), -1.0, np.float32), ["a", "red"], "images must be in 0..255"),
        (np.zeros((2, 8, 8), np.uint8), ["a", "red"], r"images must be \[batch, height, width, 3"),
        (np.zeros((2, 8, 8, 3), np.uint8), [1, 2], r"sentences must be string \[batch\]"),
        (np.zeros((0, 8, 8, 3), np.uint8), np.zeros(0, object), "there are no examples"),
        ([b"<html>", b"<html>"], ["a", "red"], "is no complete JPEG, PNG, GIF or BMP"),
    ],
)
def test_unusable_images_and_captions_are_reported(
    captioner: SentenceModel, images: Any, captions: Any, message: str
) -> None:
    with pytest.raises((ValueError, tf.errors.InvalidArgumentError), match=message):
        captioner.fit(images, captions, verbose=0)


def test_unknown_labels_and_options_are_reported() -> None:
    model = untrained("image-classification")
    model.compile()
    images = inputs_of("image-classification")
    with pytest.raises(tf.errors.InvalidArgumentError, match="labels must be among circle, square"):
        model.fit(images, ["circle", "cube"] * 3, verbose=0)
    with pytest.raises(TypeError, match="unit"):
        untrained("image-classification", unit=3)
    with pytest.raises(ValueError, match="translation needs input_vocabulary"):
        MODELS["translation"].create(Vocabulary.build(CAPTIONS, 1))
    with pytest.raises(ValueError, match="two or more different labels"):
        MODELS["image-classification"].create(("one", "one"))


def test_labels_may_be_class_ids() -> None:
    model, images = untrained("image-classification"), inputs_of("image-classification")
    model.compile()
    texts = model.evaluate(images, ["circle", "square"] * 3, verbose=0)
    assert model.evaluate(images, np.array([0, 1] * 3), verbose=0) == texts


def test_a_model_of_a_mixed_policy_learns() -> None:
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = untrained("video-captioning", decoder="updown")
    finally:
        keras.config.set_dtype_policy("float32")
    assert {weight.dtype for weight in model.trainable_weights} == {"float32"}
    x, tokens, weights = model.preprocessor(
        inputs_of("video-captioning"), targets_of("video-captioning")
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    optimizer, losses = keras.optimizers.Adam(0.02), []
    for _ in range(8):
        with tf.GradientTape() as tape:
            losses.append(loss(tokens, model(x, training=True), weights))
        variables = model.trainable_variables
        optimizer.apply(tape.gradient(losses[-1], variables), variables)
    assert losses[-1] < 0.8 * losses[0]


def test_xla_compiles_a_classifier() -> None:
    model = untrained("text-classification", cell="gru")
    model.compile(optimizer=keras.optimizers.Adam(0.02), jit_compile=True)
    texts, labels = inputs_of("text-classification"), targets_of("text-classification")
    history = model.fit(texts, labels, epochs=20, batch_size=6, verbose=0).history
    assert history["accuracy"][-1] == 1.0
