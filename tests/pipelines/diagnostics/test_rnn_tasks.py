"""RNN tasks: correct targets, results that are stored and reported, invalid arguments."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from data.common.errors import UserError
from pipelines.cli import rnn_tasks
from pipelines.cli.main import run
from pipelines.diagnostics import rnn_training
from pipelines.diagnostics.rnn_tasks import ALPHABET, RNN_TASKS, SYMBOLS
from pipelines.diagnostics.rnn_training import Outcome, Trial

TRIAL = Trial("adding", 4, "rnn", 0, units=8, steps=20, batch_size=8, learning_rate=1e-2)
OUTCOME = Outcome(0.2, False, 20, 1e-3, 1e-4, 1.5)


@given(length=st.integers(2, 40), seed=st.integers(0, 99))
@settings(max_examples=25, deadline=None)
def test_sums_are_those_of_the_two_marked_numbers(length: int, seed: int) -> None:
    inputs, sums = RNN_TASKS["adding"].make(np.random.default_rng(seed), 5, length, False)
    numbers, marks = inputs[..., 0], inputs[..., 1]
    assert inputs.shape == (5, length, 2) and inputs.dtype == np.float32
    assert (marks.sum(axis=1) == 2).all() and set(np.unique(marks)) <= {0, 1}
    assert (marks[:, : length // 2].sum(axis=1) == 1).all()
    np.testing.assert_allclose(sums[:, 0], (numbers * marks).sum(axis=1))
    assert numbers.min() >= 0 and numbers.max() < 1


def test_a_constant_prediction_has_the_stated_score() -> None:
    rng = np.random.default_rng(0)
    _, sums = RNN_TASKS["adding"].make(rng, 50_000, 4, False)
    assert np.var(sums) == pytest.approx(RNN_TASKS["adding"].constant_score, rel=0.02)
    _, symbols = RNN_TASKS["copying"].make(rng, 5_000, 4, False)
    shares = np.bincount(symbols.ravel()) / symbols.size
    np.testing.assert_allclose(shares, RNN_TASKS["copying"].constant_score, atol=0.01)


def test_copying_presents_the_symbols_before_the_blank_steps() -> None:
    inputs, symbols = RNN_TASKS["copying"].make(np.random.default_rng(0), 3, 7, False)
    signs = inputs.argmax(axis=-1)
    assert (inputs.sum(axis=-1) == 1).all()
    np.testing.assert_array_equal(signs[:, :SYMBOLS], symbols)
    assert (signs[:, SYMBOLS:-SYMBOLS] == ALPHABET).all() and symbols.max() < ALPHABET
    assert (signs[:, -SYMBOLS:] == ALPHABET + 1).all()
    assert signs.shape[1] == 7 + 2 * SYMBOLS


def test_digits_are_equal_at_every_length_and_splits_are_disjoint() -> None:
    task = RNN_TASKS["digits"]
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

    monkeypatch.setattr(rnn_training, "run_trial", attempted)
    assert run([*words, "--seeds", "2"]) == 0
    assert {trial.seed for trial in done} == {1} and len(done) == 2
    output = capfd.readouterr().out
    assert "2 of 4 runs are already finished" in output
    with (tmp_path / "o" / "rnn-tasks.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 4 and {row["cell"] for row in rows} == {"rnn", "gru"}
    with Image.open(tmp_path / "o" / "rnn-tasks.png") as image:
        assert image.width > 800


@pytest.mark.parametrize(
    ("words", "part"),
    [
        ("--task sorting", "--task invalid choice: 'sorting'"),
        ("--length 1", "--length must be at least 2"),
        ("--length 12", "must divide the 64 pixels of a digit"),
        ("--seeds 0", "--seeds must be at least 1"),
        ("--learning-rate 0", "--learning-rate must be above 0"),
    ],
)
def test_invalid_arguments_are_reported(words: str, part: str) -> None:
    with pytest.raises(UserError, match=part):
        run(["rnn-tasks", *words.split()])


def test_the_command_line_lists_all_choices() -> None:
    assert tuple(RNN_TASKS) == rnn_tasks.TASKS
