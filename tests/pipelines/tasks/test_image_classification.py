"""A whole image-classification run, from a folder a class to export and report."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from data.common.errors import UserError
from pipelines.cli.train import parse
from pipelines.config.config import Config
from pipelines.config.run_directory import open_run
from pipelines.tasks.image_source import ImageSource
from tests.support.paths import ROOT
from tests.support.source_files import fill

COLORS = {"amber": (220, 160, 20), "blue": (20, 40, 200)}


def noisy_image(color: tuple[int, int, int], seed: int) -> bytes:
    """Return a noisy image of one color."""
    noise = np.random.default_rng(seed).normal(0, 20, (40, 30, 3))
    pixels = (np.array(color) + noise).clip(0, 255).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=95)
    return file.getvalue()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return what the command leaves; in a process of its own, for a run sets TensorFlow's mode."""
    base = tmp_path_factory.mktemp("colors")
    files = {
        f"{name}/{number}.jpg": noisy_image(color, number)
        for name, color in COLORS.items()
        for number in range(30)
    }
    fill(base / "source", files | {"blue/torn.jpg": files["blue/1.jpg"][:-300]})
    words = ["image-classification", "--data", "labeled-images", "--source", str(base / "source")]
    options = (
        "--backbone small-cnn --image-size 32 --units 8 --epochs 3 --batch-size 8 --ema-decay 0.5"
    )
    options += (
        " --fine-tune-from 1 --fine-tune-learning-rate 3e-3 --learning-rate 1e-2 --warmup-steps 2"
    )
    options += " --translation 2 --rotation 10 --brightness 0.1 --max-bad 0.1"
    words += options.split()
    subprocess.run(
        [sys.executable, "train.py", *words, "--run-dir", str(base / "run")],
        cwd=ROOT,
        env={**os.environ, "WORDREEL_DATA_DIR": str(base / "home")},
        check=True,
    )
    return base / "run"


def test_a_run_directory_holds_everything(folder: Path) -> None:
    config = Config.from_json((folder / "config.json").read_text())
    assert (config.task, config.translation, config.rotation) == ("image-classification", 2, 10.0)
    metrics = json.loads((folder / "metrics.json").read_text())
    assert len(metrics["history"]) == 3
    assert metrics["splits"]["test"]["accuracy"] == 100.0, "amber and blue are easy to distinguish"
    assert (folder / "labels.txt").read_text().split() == ["amber", "blue"]
    report = (folder / "report.html").read_text(encoding="utf-8")
    assert "1 undecodable" in report and "color-mix" in report
    assert report.count('<article class="card">') > 3 and "data:image/jpeg" in report


def test_the_export_repeats_the_predictions_and_flags_invalid_images(
    folder: Path,
) -> None:
    answer = tf.saved_model.load(str(folder / "export" / "1")).signatures["serving_default"]
    with (folder / "predictions-test.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    encoded = [(folder.parent / "source" / row["id"]).read_bytes() for row in rows]
    found = answer(image_bytes=tf.constant([*encoded, b"<html>", b""]))
    assert found["valid"].numpy().tolist() == [True] * len(rows) + [False] * 2
    labels = [label.decode() for label in found["label"].numpy()]
    assert labels == [row["predicted"] for row in rows] + ["", ""]
    shares = found["probabilities"].numpy()
    for row, share in zip(rows, shares, strict=False):
        assert share == pytest.approx([float(row["amber"]), float(row["blue"])], abs=0.02)
    assert (shares[-2:] == 0).all()
    none = answer(image_bytes=tf.constant([], tf.string))
    assert none["probabilities"].shape == [0, 2]


def test_augmentation_of_a_frozen_backbone_is_refused(tmp_path: Path) -> None:
    config = parse(
        ["image-classification", "--translation", "2", "--fine-tune-from", "none"]
    ).config
    prepared = ImageSource.prepare  # not called: nothing is prepared for what cannot be
    with pytest.raises(UserError, match="add --fine-tune-from 1 --fine-tune-layers all"):
        ImageSource(config, prepared, tmp_path)  # type: ignore[arg-type]


def test_datasets_of_tfds_are_named_with_a_prefix(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    config = parse(["image-classification", "--data", "tfds:imagenette/320px-v2"]).config
    assert config.data == "tfds:imagenette/320px-v2"
    name = f"image-classification-tfds-imagenette-320px-v2-{config.hash}"
    assert open_run(config, None) == Path("runs") / name
    with pytest.raises(UserError, match=r"tfds:mnist is a dataset of .*image-classification"):
        parse(["image-captioning", "--data", "tfds:mnist"])
