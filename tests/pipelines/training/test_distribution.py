"""Two processes with a part of each batch learn what one learns with the whole, and survive."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from pytest import MonkeyPatch

from data.common.errors import UserError
from models.heads.classifier import Classifier
from models.heads.sequence_decoder import SequenceDecoder
from pipelines.config.config import Config
from pipelines.runtime import cluster
from pipelines.training import distribution
from pipelines.training.trainer import Trainer
from tests.support.paths import ROOT
from tests.support.tiny import trainer as tiny_trainer

EPOCHS = 8  # of two workers against one: rounding errors grow with the steps


def begin(run_dir: Path, **options: Any) -> Trainer:
    """Return a trainer of a model without dropout: where a row falls must not matter."""
    strategy = distribution.make_strategy()
    chosen: dict[str, Any] = {
        "units": 8,
        "dropout": 0.0,
        "epochs": 2,
        "warmup_steps": 2,
        "patience": 9,
    }
    config = Config(**(chosen | {"fine_tune_from": 2} | options))
    with distribution.scope(strategy):
        model = tiny_trainer.captioner(config)
    return Trainer(model, config, run_dir, tiny_trainer.STEPS, strategy)


def main(run_dir: str) -> None:
    """Train as one worker of a cluster, a checkpoint at every step."""
    import pipelines.training.trainer

    pipelines.training.trainer.SAVE_EVERY = 0.0
    with distribution.restart_if_worker_lost():
        it = begin(Path(run_dir), epochs=EPOCHS)
        it.fit(tiny_trainer.batches, lambda _: tiny_trainer.weight_sum(it), "score")
        print(json.dumps(it.history))


def start(run_dir: Path, ports: list[int], index: int) -> subprocess.Popen[str]:
    workers = {"worker": [f"localhost:{port}" for port in ports]}
    task = {"type": "worker", "index": index}
    return subprocess.Popen(
        [
            sys.executable,
            "-c",
            f"import tests.pipelines.training.test_distribution as t; t.main({str(run_dir)!r})",
        ],
        cwd=ROOT,
        env={
            **os.environ,
            "PYTHONPATH": ".",
            "TF_CONFIG": json.dumps({"cluster": workers, "task": task}),
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("localhost", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def test_two_processes_one_of_them_killed_learn_what_one_does(tmp_path: Path) -> None:
    ports, together = free_ports(2), tmp_path / "together"
    chief, other = (start(together, ports, index) for index in range(2))
    while tiny_trainer.newest(together) < 4:
        assert chief.poll() is None and other.poll() is None
        time.sleep(0.05)
    other.send_signal(signal.SIGKILL)
    other.communicate()
    other = start(together, ports, 1)
    histories = [json.loads(process.communicate()[0]) for process in (chief, other)]
    assert (chief.returncode, other.returncode) == (0, 0)
    one = begin(tmp_path / "one", epochs=EPOCHS)
    one.fit(tiny_trainer.batches, lambda _: tiny_trainer.weight_sum(one), "score")
    assert histories[0] == histories[1]
    assert len(one.history) == EPOCHS
    for found, right in zip(histories[0], one.history, strict=True):
        assert found["loss"] == pytest.approx(right["loss"], abs=1e-4)
        assert found["score"] == pytest.approx(right["score"], abs=1e-2)
    # Whoever has more time may go on with what the two have learned, alone.
    assert begin(together, epochs=EPOCHS).history == histories[0]


def test_parts_taken_one_after_the_other_learn_what_the_whole_does(tmp_path: Path) -> None:
    losses = []
    for accumulate in (1, 3):
        it = begin(tmp_path / str(accumulate), micro_batches=accumulate, fine_tune_from=1)
        it.fit(tiny_trainer.batches, lambda _: {"score": 1.0}, "score")
        losses.append([record["loss"] for record in it.history])
    np.testing.assert_allclose(losses[0], losses[1], atol=1e-5)


def test_the_parts_of_a_batch_contain_each_row_once() -> None:
    rows = tf.random.stateless_normal([4, 3, 2], [1, 2])
    tokens = tf.constant([[1, 4, 2, 0], [1, 5, 6, 2], [1, 7, 2, 0], [1, 4, 4, 2], [1, 2, 0, 0]])
    owners = tf.constant([2, 0, 3, 2, 1])
    parts = distribution.split_batch((rows, (tokens, owners)), 3, SequenceDecoder.target_weight)
    seen = [
        (tuple(words), tuple(inputs[owner].numpy().ravel()))
        for inputs, (words_of_part, own), _ in parts
        for words, owner in zip(words_of_part.numpy().tolist(), own.numpy(), strict=True)
    ]
    assert seen == [
        (tuple(words), tuple(rows[owner].numpy().ravel()))
        for words, owner in zip(tokens.numpy().tolist(), owners.numpy(), strict=True)
    ]
    assert sum(float(share) for *_, share in parts) == pytest.approx(1.0)
    assert len(parts[0][0]) == 2  # only the images that the part needs


def test_parts_without_rows_have_a_share_of_zero() -> None:
    head = Classifier(2, class_weights=[1.0, 3.0])
    parts = distribution.split_batch((tf.zeros([2, 5]), tf.constant([0, 1])), 4, head.target_weight)
    assert sorted(float(share) for *_, share in parts) == [0.0, 0.0, 0.25, 0.75]
    assert all(len(labels) == 1 for _, labels, _ in parts)


@pytest.mark.parametrize(
    ("task", "chief"), [(("worker", 0), False), (("chief", 0), True), (("worker", 1), False)]
)
def test_a_cluster_with_a_chief_has_one_writer(task: tuple[str, int], chief: bool) -> None:
    kind, index = task
    config = {
        "cluster": {"chief": ["a:1"], "worker": ["b:1", "c:1"]},
        "task": {"type": kind, "index": index},
    }
    assert cluster.read(json.dumps(config)) == (3, chief)


@pytest.mark.parametrize("text", ["{", "[]", '{"cluster": {"worker": ["a:1"]}}'])
def test_a_malformed_cluster_is_refused(text: str, monkeypatch: MonkeyPatch) -> None:
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(UserError, match="TF_CONFIG must be JSON like"):
        cluster.read()


def test_only_the_chief_writes(tmp_path: Path, monkeypatch: MonkeyPatch) -> None:
    (tmp_path / "vocabulary.txt").write_text("words")
    with distribution.writable_folder(tmp_path) as folder:
        assert folder == tmp_path
    config = {
        "cluster": {"worker": ["a:1", "b:1"]},
        "task": {"type": "worker", "index": 1},
    }
    monkeypatch.setenv("TF_CONFIG", json.dumps(config))
    with distribution.writable_folder(tmp_path) as folder:
        assert folder != tmp_path
        assert (folder / "vocabulary.txt").read_text() == "words"
    assert not folder.exists()
