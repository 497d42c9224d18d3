"""The classic tasks: what is asked is true, what is finished is kept, and failures are said."""

from __future__ import annotations

import csv
import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure
from PIL import Image

from data.common.errors import UserError
from pipelines.cli import rnn_tasks
from pipelines.cli.main import run
from pipelines.diagnostics import rnn_results, rnn_training
from pipelines.diagnostics.gradient_flow import measure
from pipelines.diagnostics.rnn_results import keep, kept, lines
from pipelines.diagnostics.rnn_tasks import ALPHABET, CLASSIC_TASKS, SYMBOLS
from pipelines.diagnostics.rnn_training import Outcome, Trial, attempt

TRIAL = Trial("adding", 4, "rnn", 0, units=8, steps=20, batch_size=8, rate=1e-2)
OUTCOME = Outcome(0.2, False, 20, 1e-3, 1e-4, 1.5)


@given(length=st.integers(2, 40), seed=st.integers(0, 99))
@settings(max_examples=25, deadline=None)
def test_sums_are_those_of_the_two_marked_numbers(length: int, seed: int) -> None:
    inputs, sums = CLASSIC_TASKS["adding"].make(np.random.default_rng(seed), 5, length, False)
    numbers, marks = inputs[..., 0], inputs[..., 1]
    assert inputs.shape == (5, length, 2) and inputs.dtype == np.float32
    assert (marks.sum(axis=1) == 2).all() and set(np.unique(marks)) <= {0, 1}
    assert (marks[:, : length // 2].sum(axis=1) == 1).all()
    np.testing.assert_allclose(sums[:, 0], (numbers * marks).sum(axis=1))
    assert numbers.min() >= 0 and numbers.max() < 1


def test_a_constant_prediction_has_the_stated_score() -> None:
    rng = np.random.default_rng(0)
    _, sums = CLASSIC_TASKS["adding"].make(rng, 50_000, 4, False)
    assert np.var(sums) == pytest.approx(CLASSIC_TASKS["adding"].blind, rel=0.02)
    _, symbols = CLASSIC_TASKS["copying"].make(rng, 5_000, 4, False)
    shares = np.bincount(symbols.ravel()) / symbols.size
    np.testing.assert_allclose(shares, CLASSIC_TASKS["copying"].blind, atol=0.01)


def test_copying_presents_the_symbols_before_the_blank_steps() -> None:
    inputs, symbols = CLASSIC_TASKS["copying"].make(np.random.default_rng(0), 3, 7, False)
    signs = inputs.argmax(axis=-1)
    assert (inputs.sum(axis=-1) == 1).all()
    np.testing.assert_array_equal(signs[:, :SYMBOLS], symbols)
    assert (signs[:, SYMBOLS:-SYMBOLS] == ALPHABET).all() and symbols.max() < ALPHABET
    assert (signs[:, -SYMBOLS:] == ALPHABET + 1).all()
    assert signs.shape[1] == 7 + 2 * SYMBOLS


def test_digits_are_equal_at_every_length_and_splits_are_disjoint() -> None:
    task = CLASSIC_TASKS["digits"]
    whole = {}
    for length in task.lengths:
        inputs, labels = task.make(np.random.default_rng(0), 9_999, length, True)
        assert inputs.shape == (359, length, 64 // length)
        whole[length] = (inputs.reshape(359, 64), labels)
    for pixels, labels in whole.values():
        np.testing.assert_array_equal(pixels, whole[8][0])
        np.testing.assert_array_equal(labels, whole[8][1])
    learned, _ = task.make(np.random.default_rng(0), 9_999, 8, False)
    assert not {x.tobytes() for x in learned} & {x.tobytes() for x in whole[8][0].reshape(-1, 8, 8)}


def test_a_short_adding_task_is_solved_reproducibly(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rnn_training, "CHECK_EVERY", 50)
    trial = dataclasses.replace(TRIAL, length=2, units=16, steps=300, batch_size=32)
    first, again = attempt(trial), attempt(trial)
    assert first.solved and first.score <= 0.01 and first.taken <= 300
    assert dataclasses.replace(first, seconds=0.0) == dataclasses.replace(again, seconds=0.0)
    assert 0 < first.before < 10 and 0 < first.after < 10


def test_the_gradient_at_the_first_step_equals_the_product_of_jacobians() -> None:
    trial = dataclasses.replace(TRIAL, cell="lstm", length=9, seed=4)
    task = CLASSIC_TASKS["adding"]
    inputs, _ = task.make(np.random.default_rng(0), 20, 9, True)
    network = rnn_training._Network(trial, task, 2)
    found = rnn_training._left(trial, network, inputs)
    few = tf.constant(inputs[: rnn_training.MEASURED])
    assert found == pytest.approx(measure("lstm", network.cell, few, seed=4).total[0], rel=1e-4)


def test_finished_trials_are_read_and_incomplete_lines_skipped(tmp_path: Path) -> None:
    path = tmp_path / "new" / "finished.jsonl"
    assert kept(path) == {}
    other = dataclasses.replace(TRIAL, seed=1)
    keep(path, TRIAL, OUTCOME)
    keep(path, other, OUTCOME)
    old = {**json.loads(path.read_text().splitlines()[0]), "version": 0, "seed": 7}
    path.write_text(json.dumps(old) + "\n" + path.read_text()[:-30])
    assert kept(path) == {TRIAL: OUTCOME}


def test_lengths_that_only_the_rnn_fails_are_reported() -> None:
    solved = dataclasses.replace(OUTCOME, score=0.005, solved=True)
    results = {}
    for length, cell, seed in np.ndindex(2, 3, 3):
        name, far = ("rnn", "lstm", "gru")[cell], (25, 100)[length]
        won = name == "lstm" or (name == "rnn" and far == 25) or (name == "gru" and seed == 0)
        trial = dataclasses.replace(TRIAL, length=far, cell=name, seed=seed)
        results[trial] = solved if won else OUTCOME
    text = "\n".join(lines(results))
    assert "rnn solves T = 25; lstm solves T = 25, 100; gru solves none of them" in text
    assert (
        "the vanilla RNN fails with every seed where the lstm succeeds with every seed: T = 100"
        in text
    )
    assert "the gru succeeds" not in text
    assert "0.2 (0/3)" in text and "0.005 (3/3)" in text and "Bai, Kolter & Koltun 2018" in text


def test_no_title_of_the_plot_is_truncated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = []

    class Kept(Figure):
        def savefig(self, *args: Any, **options: Any) -> None:
            drawn.append(self)
            super().savefig(*args, **options)

    monkeypatch.setattr(rnn_results, "Figure", Kept)
    trials = [dataclasses.replace(TRIAL, task=name, length=8) for name in CLASSIC_TASKS]
    rnn_results.draw(tmp_path / "tasks.png", dict.fromkeys(trials, OUTCOME))
    (figure,) = drawn
    figure.draw_without_rendering()
    for axes in figure.axes:
        extent = axes.title.get_window_extent()
        assert extent.x0 >= 0 and extent.x1 <= figure.bbox.x1, axes.get_title()


def test_the_command_writes_all_files_and_resumes(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    options = "--task digits --length 8 --units 3 --steps 2 --batch-size 4 --jobs 1"
    words = ["rnn-tasks", *options.split(), "--cell", "rnn", "gru", "--out", str(tmp_path / "o")]
    assert run([*words, "--seeds", "1"]) == 0
    assert "2/2 digits T=8" in capfd.readouterr().out
    done: list[Trial] = []

    def attempted(trial: Trial) -> Outcome:
        done.append(trial)
        return OUTCOME

    monkeypatch.setattr(rnn_training, "attempt", attempted)
    assert run([*words, "--seeds", "2"]) == 0
    assert {trial.seed for trial in done} == {1} and len(done) == 2
    said = capfd.readouterr().out
    assert "2 of 4 runs are finished already" in said
    with (tmp_path / "o" / "rnn-tasks.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 4 and {row["cell"] for row in rows} == {"rnn", "gru"}
    with Image.open(tmp_path / "o" / "rnn-tasks.png") as picture:
        assert picture.width > 800


@pytest.mark.parametrize(
    ("words", "part"),
    [
        ("--task sorting", "--task invalid choice: 'sorting'"),
        ("--length 1", "--length must be at least 2"),
        ("--length 12", "a digit has 64 pixels, which it does not divide"),
        ("--seeds 0", "--seeds must be at least 1"),
        ("--learning-rate 0", "--learning-rate must be above 0"),
    ],
)
def test_invalid_arguments_are_reported(words: str, part: str) -> None:
    with pytest.raises(UserError, match=part):
        run(["rnn-tasks", *words.split()])


def test_the_command_line_lists_all_choices() -> None:
    assert tuple(CLASSIC_TASKS) == rnn_tasks.TASKS
