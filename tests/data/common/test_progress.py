"""Progress bars on a terminal and in a log."""

from __future__ import annotations

import io
import re
import sys

import pytest

from data.common.progress import progress
from tests.support.paths import ROOT


class Screen(io.StringIO):
    """A stand-in for stderr that is a terminal or a file."""

    def __init__(self, terminal: bool) -> None:
        super().__init__()
        self.terminal = terminal

    def isatty(self) -> bool:
        return self.terminal


def updates(monkeypatch: pytest.MonkeyPatch, terminal: bool) -> list[str]:
    """Return the updates that a bar writes for 1,000 steps in 100 seconds of a fake clock."""
    screen, now = Screen(terminal), [0.0]
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", screen)
        patch.setattr("tqdm.tqdm.monitor_interval", 0)
        bar = progress(1000, "learning", "steps")
        bar._time = lambda: now[0]
        bar.start_t = bar.last_print_t = 0.0
        with bar:
            for _ in range(1000):
                now[0] += 0.1
                bar.update()
    return re.findall(r"learning: +\d+%", screen.getvalue())


def test_a_log_gets_a_line_every_ten_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = updates(monkeypatch, terminal=False)
    assert 9 <= len(lines) <= 12
    assert lines[-1] == "learning: 100%"


def test_a_terminal_gets_continuous_updates(monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(updates(monkeypatch, terminal=True)) > 400


def test_only_this_module_creates_progress_bars() -> None:
    folders = ("data", "models", "pipelines")
    files = [file for folder in folders for file in (ROOT / folder).rglob("*.py")]
    found = {file.name for file in files if "tqdm(" in file.read_text(encoding="utf-8")}
    assert found == {"progress.py"}
