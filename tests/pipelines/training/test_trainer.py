"""The training loop: killed and started again, it ends in the same weights, bit for bit."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from data.common.errors import UserError
from pipelines.config.config import Config
from tests.support.paths import ROOT
from tests.support.tiny.trainer import STEPS, batches, newest, trainer, weight_sum


def start(*run_dirs: Path) -> subprocess.Popen[bytes]:
    """Train in a process of its own, in one folder after the other."""
    code = "import sys; from tests.support.tiny import trainer; [*map(trainer.main, sys.argv[1:])]"
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, run_dirs)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": "."},
        stderr=subprocess.DEVNULL,
    )


def tensors(run_dir: Path) -> dict[str, np.ndarray]:
    reader = tf.train.load_checkpoint(str(run_dir / "checkpoints"))
    names = [n for n in reader.get_variable_to_shape_map() if "save_counter" not in n]
    return {name: reader.get_tensor(name) for name in names if "OBJECT_GRAPH" not in name}


def test_killed_at_any_moment_it_ends_in_the_same_weights(tmp_path: Path) -> None:
    rng, kills = np.random.default_rng(), 0
    process = start(tmp_path / "killed")
    for after in (2, 9):  # checkpoints: once in the first epoch, once in the second
        while newest(tmp_path / "killed") < after:
            assert process.poll() is None, "it ended before it could be killed"
            time.sleep(0.01)
        time.sleep(rng.uniform(0, 0.05))
        process.send_signal(signal.SIGKILL)
        kills += process.wait() == -signal.SIGKILL
        process = start(tmp_path / "killed", tmp_path / "whole")
    assert process.wait() == 0
    assert kills == 2
    whole, killed = tensors(tmp_path / "whole"), tensors(tmp_path / "killed")
    assert whole.keys() == killed.keys()
    assert any("embedding" in name for name in whole)
    different = [name for name in whole if not np.array_equal(whole[name], killed[name])]
    assert different == []


def test_the_backbone_is_trained_from_its_epoch_on_without_its_batch_norms(tmp_path: Path) -> None:
    it = trainer(tmp_path)
    backbone: Any = it.model.backbone
    kernel, *_, mean, variance = backbone.get_weights()
    seen: list[float] = []

    def validate(epoch: int) -> dict[str, float]:
        seen.append(np.abs(backbone.get_weights()[0] - kernel).max())
        return {"score": len(seen)}

    it.fit(batches, validate, "score")
    assert seen[0] == 0
    assert seen[1] > 0
    np.testing.assert_array_equal(backbone.get_weights()[-2:], [mean, variance])


def test_stops_early_and_takes_the_best_epoch(tmp_path: Path) -> None:
    it = trainer(tmp_path, fine_tune_from=1)
    it.config = Config(epochs=40, patience=2)
    scores, weights = iter([0.1, 0.5, 0.4, 0.3, 0.9]), []

    def validate(epoch: int) -> dict[str, float]:
        weights.append([v.numpy() for v in it.step.head_variables])
        return {"score": next(scores)}

    it.fit(batches, validate, "score")
    assert [record["score"] for record in it.history] == [0.1, 0.5, 0.4, 0.3]
    for now, best in zip(it.step.head_variables, weights[1], strict=True):
        np.testing.assert_array_equal(now, best)


def test_the_lowest_validation_loss_can_select_the_epoch(tmp_path: Path) -> None:
    it = trainer(tmp_path, fine_tune_from=1)
    it.config = Config(epochs=40, patience=2)
    losses = iter([3.0, 1.0, 2.0, 2.5, 0.1])
    it.fit(batches, lambda _: {"val_loss": next(losses)}, "val_loss")
    assert [record["val_loss"] for record in it.history] == [3.0, 1.0, 2.0, 2.5]


def test_a_run_with_more_epochs_continues_where_it_ended(tmp_path: Path) -> None:
    first = trainer(tmp_path, epochs=2)
    first.fit(batches, lambda _: weight_sum(first), "score")
    weights = tensors(tmp_path)
    more = trainer(tmp_path, epochs=4)
    assert more.history == first.history
    optimizer = more.step.optimizer
    assert int(optimizer.iterations) == 2 * STEPS
    # The cosine is that of four epochs: the learning rate rises again, to where it would be.
    expected = float(trainer(tmp_path / "new", epochs=4).step.optimizer._learning_rate(2 * STEPS))
    assert float(optimizer.learning_rate) == pytest.approx(expected, rel=1e-6)
    assert expected > 2 * float(first.step.optimizer.learning_rate)
    more.fit(batches, lambda _: weight_sum(more), "score")
    assert [record["epoch"] for record in more.history] == [1, 2, 3, 4]
    assert more.history[:2] == first.history
    changed = [
        name for name in weights if not np.array_equal(weights[name], tensors(tmp_path)[name])
    ]
    assert any("embedding" in name for name in changed)


def test_validation_sees_the_averaged_weights(tmp_path: Path) -> None:
    it = trainer(tmp_path)
    averages: list[float] = []

    def validate(epoch: int) -> dict[str, float]:
        averages.append(float(tf.reduce_sum(it.step.head_variables[0])))
        return {"score": 1.0}

    it.config = Config(epochs=1)
    it.fit(batches, validate, "score")
    reader = tf.train.load_checkpoint(str(tmp_path / "checkpoints"))
    kept = reader.get_tensor("average/averages/0/.ATTRIBUTES/VARIABLE_VALUE")
    weights = reader.get_tensor("encoder/place/.ATTRIBUTES/VARIABLE_VALUE")
    assert averages == [float(tf.reduce_sum(kept))]
    assert averages != [float(tf.reduce_sum(weights))]


def test_a_gradient_that_is_not_finite_stops_the_run_by_name(tmp_path: Path) -> None:
    it = trainer(tmp_path)
    spoiled = [(x * math.nan, y) for x, y in batches(0, 0)]
    with pytest.raises(UserError, match=r"step 1: the loss is nan .*kernel.*--learning-rate"):
        it.fit(lambda epoch, skip: spoiled, lambda _: {"score": 0.0}, "score")
    assert it.manager.latest_checkpoint is None


def test_the_loss_of_the_history_is_the_mean_of_the_epoch(tmp_path: Path) -> None:
    it = trainer(tmp_path, fine_tune_from=1)
    it.fit(batches, lambda _: {"score": 1.0}, "score")
    losses = [record["loss"] for record in it.history]
    assert len(losses) == 4
    assert losses[-1] < losses[0]
    assert json.loads(it.history_json.numpy()) == it.history


def test_batches_of_every_size_share_one_graph(tmp_path: Path) -> None:
    it = trainer(tmp_path, micro_batches=2, fine_tune_from=1, epochs=2)

    def with_spec(epoch: int, skip: int) -> tf.data.Dataset:
        spec = (
            tf.TensorSpec([None, 16, 16, 3]),
            (tf.TensorSpec([None, None], tf.int32), tf.TensorSpec([None], tf.int32)),
        )
        sizes = [(2, 3), (4, 5), (3, 4)]

        def generate() -> Iterator[Any]:
            for images, width in sizes[skip:]:
                tokens = np.full((images, width), 3, np.int32)
                yield np.ones((images, 16, 16, 3)), (tokens, np.arange(images, dtype=np.int32))

        return tf.data.Dataset.from_generator(generate, output_signature=spec)

    it.steps_per_epoch = 3
    it.fit(with_spec, lambda _: weight_sum(it), "score")
    assert len(it.history) == it.config.epochs
    assert [f.experimental_get_tracing_count() for f in it.step._functions.values()] == [1]
