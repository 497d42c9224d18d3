from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from filelock import FileLock

from data.common.errors import UserError
from pipelines.cli.main import run
from pipelines.config.config import Config
from pipelines.config.stored_runs import read_run
from tests.support.paths import ROOT
from tests.support.run_folders import write_run

Printed = pytest.CaptureFixture[str]
CONFIG = Config(task="text-classification", data="texts", epochs=4)
SCORES = {"test": {"accuracy": 91.66, "intervals": {"accuracy": [74.2, 97.7]}, "examples": 24}}


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    write_run(tmp_path / "done", CONFIG, SCORES)
    write_run(tmp_path / "deep" / "half", CONFIG)
    (tmp_path / "started").mkdir()
    (tmp_path / "started" / "config.json").write_text(CONFIG.to_json())
    (tmp_path / "torn").mkdir()
    (tmp_path / "torn" / "config.json").write_text("{")
    (tmp_path / "other").mkdir()
    return tmp_path


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_runs_are_listed_with_state_and_score(runs: Path, capsys: Printed) -> None:
    assert run(["runs", str(runs)]) == 0
    header, *rows = [re.split(" {2,}", line) for line in capsys.readouterr().out.splitlines()]
    assert header == ["run", "task", "data", "state", "score", "size", "changed"]
    assert [Path(row[0]).name for row in rows] == ["half", "done", "started", "torn"]
    half, done, started, torn = rows
    assert done[1:4] == [CONFIG.task, "texts", "complete, 2 epochs"]
    assert done[4] == "accuracy 91.7 [74.2, 97.7] (test)"
    assert half[3:5] == ["stopped, epoch 2 of 4", "accuracy 50.0 (validation)"]
    assert started[3:5] == ["training has not started", "–"]
    assert torn[1:5] == ["–", "–", "damaged: config.json", "–"]


def test_json_has_what_a_script_needs(runs: Path, capsys: Printed) -> None:
    run(["runs", "--json", str(runs / "done")])
    record = json.loads(capsys.readouterr().out)
    size = sum((runs / "done" / name).stat().st_size for name in files(runs / "done"))
    assert (record["bytes"], record["complete"], record["epochs"]) == (size, True, 2)
    assert record["score"] == {
        "split": "test",
        "name": "accuracy",
        "value": 91.66,
        "interval": [74.2, 97.7],
    }


def test_prune_keeps_what_serving_and_continuing_need(runs: Path, capsys: Printed) -> None:
    second = write_run(runs / "done" / "self-critical", CONFIG)
    (second / "config.json").unlink()
    before = files(runs)
    assert run(["runs", str(runs), "--prune"]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert files(runs) == before
    assert run(["runs", str(runs), "--prune", "--yes"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "9.1 kB removed"
    assert printed[-1] == "9.1 kB can be removed; add --yes to remove them"
    gone = before - files(runs)
    older = {
        f"checkpoints/ckpt-{number}.{end}"
        for number in (1, 2)
        for end in ("index", "data-00000-of-00001")
    }
    assert {name for name in gone if name.startswith("deep")} == {f"deep/half/{n}" for n in older}
    left = {str(name) for name in files(runs / "done")}
    newest = {f"checkpoints/ckpt-3.{end}" for end in ("index", "data-00000-of-00001")}
    best = {f"best/ckpt-1.{end}" for end in ("index", "data-00000-of-00001")}
    assert left == newest | best | {
        *("config.json", "data.json", "history.json", "metrics.json"),
        *("checkpoints/checkpoint", "best/checkpoint"),
        *("self-critical/data.json", "self-critical/history.json"),
    }
    run(["runs", str(runs), "--prune", "--yes"])
    assert capsys.readouterr().out == "0 B removed\n"


def test_a_run_that_a_process_trains_is_left_as_it_is(runs: Path, capsys: Printed) -> None:
    before = files(runs / "done")
    with FileLock(runs / "done" / ".lock"):
        assert read_run(runs / "done").running
        run(["runs", str(runs / "done"), "--prune", "--yes"])
    assert "left as it is" in capsys.readouterr().err
    assert files(runs / "done") - {".lock"} == before
    assert not read_run(runs / "done").running


def test_mistakes_are_named(runs: Path, capsys: Printed) -> None:
    with pytest.raises(UserError, match="no such folder"):
        run(["runs", str(runs / "gone")])
    with pytest.raises(UserError, match="--yes requires --prune"):
        run(["runs", str(runs), "--yes"])
    assert run(["runs", str(runs / "other")]) == 0
    assert "no run in" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["runs", "."], ["cache"], ["config"], ["train", "--epoch"]])
def test_the_commands_do_not_import_tensorflow(words: list[str], tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "pipelines.cli.main", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env={"WORDREEL_DATA_DIR": str(tmp_path), "PATH": ""},
    )
    assert done.returncode == (2 if words[0] == "train" else 0)
    assert not re.search(r"\| +(tensorflow|keras|numpy|PIL|jinja2)\b", done.stderr)
