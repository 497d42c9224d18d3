"""Results of the RNN tasks: files, summary and plot."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from pipelines.diagnostics import rnn_results
from pipelines.diagnostics.rnn_results import append_result, format_results, read_results
from pipelines.diagnostics.rnn_tasks import RNN_TASKS
from pipelines.diagnostics.rnn_training import Outcome, Trial

TRIAL = Trial("adding", 4, "rnn", 0, units=8, steps=20, batch_size=8, learning_rate=1e-2)
OUTCOME = Outcome(0.2, False, 20, 1e-3, 1e-4, 1.5)


def test_finished_trials_are_read_and_incomplete_lines_skipped(tmp_path: Path) -> None:
    path = tmp_path / "new" / "finished.jsonl"
    assert read_results(path) == {}
    other = dataclasses.replace(TRIAL, seed=1)
    append_result(path, TRIAL, OUTCOME)
    append_result(path, other, OUTCOME)
    old = {**json.loads(path.read_text().splitlines()[0]), "version": 0, "seed": 7}
    path.write_text(json.dumps(old) + "\n" + path.read_text()[:-30])
    assert read_results(path) == {TRIAL: OUTCOME}


def test_files_of_earlier_releases_are_read(tmp_path: Path) -> None:
    path = tmp_path / "finished.jsonl"
    append_result(path, TRIAL, OUTCOME)
    text = path.read_text()
    for old, new in rnn_results.OLD_NAMES.items():
        text = text.replace(f'"{new}"', f'"{old}"')
    path.write_text(text)
    assert '"rate"' in text and read_results(path) == {TRIAL: OUTCOME}


def test_lengths_that_only_the_rnn_fails_are_reported() -> None:
    solved = dataclasses.replace(OUTCOME, score=0.005, solved=True)
    results = {}
    for length, cell, seed in np.ndindex(2, 3, 3):
        name, far = ("rnn", "lstm", "gru")[cell], (25, 100)[length]
        won = name == "lstm" or (name == "rnn" and far == 25) or (name == "gru" and seed == 0)
        trial = dataclasses.replace(TRIAL, length=far, cell=name, seed=seed)
        results[trial] = solved if won else OUTCOME
    text = "\n".join(format_results(results))
    assert "rnn solves T = 25; lstm solves T = 25, 100; gru solves no length" in text
    assert "the vanilla RNN fails and the lstm succeeds with every seed: T = 100" in text
    assert "the gru succeeds" not in text
    assert "0.2 (0/3)" in text and "0.005 (3/3)" in text and "Bai, Kolter & Koltun 2018" in text


def test_no_title_of_the_plot_is_truncated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    figures = []

    class RecordingFigure(Figure):
        def savefig(self, *args: Any, **options: Any) -> None:
            figures.append(self)
            super().savefig(*args, **options)

    monkeypatch.setattr(rnn_results, "Figure", RecordingFigure)
    trials = [dataclasses.replace(TRIAL, task=name, length=8) for name in RNN_TASKS]
    rnn_results.plot_results(tmp_path / "tasks.png", dict.fromkeys(trials, OUTCOME))
    (figure,) = figures
    figure.draw_without_rendering()
    for axes in figure.axes:
        extent = axes.title.get_window_extent()
        assert extent.x0 >= 0 and extent.x1 <= figure.bbox.x1, axes.get_title()
