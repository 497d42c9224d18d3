"""TensorBoard: samples with predictions, hyperparameters, scores and a profile of a tiny run."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from data.common.errors import UserError
from pipelines.training.stages import train
from pipelines.training.tensorboard import SAMPLES, Profiler, SampleLog, write_scores
from tests.support.tiny import clips, reviews


def events(folder: Path) -> dict[str, Any]:
    """Return the last value of each tag."""
    found = {}
    for path in sorted(folder.glob("events*")):
        for event in tf.compat.v1.train.summary_iterator(str(path)):
            for value in event.summary.value:
                found[value.tag] = value
    return found


def test_a_run_has_samples_hyperparameters_and_scores(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    experiment = reviews.tiny(tmp_path, epochs=1)
    (record,) = train(experiment, tmp_path / "run", tf.distribute.get_strategy())
    assert f"validation: loss {record['val_loss']:.3f}  accuracy" in capsys.readouterr().out
    logs = tmp_path / "run" / "tensorboard"
    write_scores(logs, {"test": {"macro-F1": 50.0}}, step=1)
    found = events(logs)
    assert float(tf.make_ndarray(found["val/loss"].tensor)) == pytest.approx(record["val_loss"])
    assert float(tf.make_ndarray(found["test/macro-f1"].tensor)) == 50.0
    (table,) = tf.make_ndarray(found["val/samples"].tensor).ravel()
    rows = table.decode().splitlines()
    assert len(rows) == 2 + SAMPLES
    assert rows[2].startswith("| a fine film indeed | ") and rows[2].endswith(" | good |")
    content = str(found["_hparams_/session_start_info"].metadata.plugin_data.content)
    assert "embedding_dim" in content and "fine_tune_from" not in content


def test_clips_are_shown_as_strips_with_their_captions(tmp_path: Path) -> None:
    experiment = clips.tiny("video-captioning", tmp_path)
    with tf.summary.create_file_writer(str(tmp_path / "logs")).as_default(step=1):
        SampleLog(experiment).write(experiment.evaluate("validation"))
    found = events(tmp_path / "logs")
    names = [name for name in found if name.startswith("val/sample ")]
    assert 1 < len(names) <= SAMPLES
    width, height, encoded = tf.make_ndarray(found[names[0]].tensor)[:3]
    pixels = tf.io.decode_png(encoded).numpy()
    assert pixels.shape == (int(height), int(width), 3)
    below = pixels[-16:]  # dark letters on white
    assert below.max() == 255 and below.min() < 100 and np.mean(below) > 200


def test_a_profile_needs_its_plugin_and_has_a_few_steps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match="pip install tensorboard-plugin-profile"):
        Profiler(tmp_path)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name == "xprof")
    profiler = Profiler(tmp_path)
    for step in range(20):
        profiler.on_train_batch_end(step)
    profiler.on_train_end()
    assert capsys.readouterr().out.count("profile of 5 steps") == 1
    assert list(tmp_path.glob("plugins/profile/*/*.xplane.pb"))
