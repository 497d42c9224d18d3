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


def output(monkeypatch: pytest.MonkeyPatch, terminal: bool, seconds: float = 100.0) -> str:
    """Return what a bar writes for 1,000 steps in so many seconds of a fake clock."""
    screen, now = Screen(terminal), [0.0]
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", screen)
        patch.setattr("tqdm.tqdm.monitor_interval", 0)
        bar = progress(1000, "learning", "steps")
        bar._time = lambda: now[0]
        bar.start_t = bar.last_print_t = 0.0
        with bar:
            for _ in range(1000):
                now[0] += seconds / 1000
                bar.update()
                bar.set_postfix(loss="1.5", refresh=False)
    return screen.getvalue()


@pytest.mark.parametrize("seconds, most", [(50.0, 6), (36_000.0, 11)])
def test_a_log_gets_few_lines_without_control_characters(
    seconds: float, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = output(monkeypatch, False, seconds).splitlines()
    assert 1 <= len(lines) <= most
    assert re.match(r"learning: 100% 1000/1000 steps \[.*, loss=1.5\]$", lines[-1])
    assert all(line.isprintable() for line in lines)


def test_a_terminal_gets_continuous_updates(monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(re.findall(r"learning: +\d+%", output(monkeypatch, terminal=True))) > 400


def test_only_this_module_creates_progress_bars() -> None:
    folders = ("data", "models", "pipelines")
    files = [file for folder in folders for file in (ROOT / folder).rglob("*.py")]
    found = {file.name for file in files if "tqdm(" in file.read_text(encoding="utf-8")}
    assert found == {"progress.py"}
