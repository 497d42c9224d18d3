from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest
from filelock import FileLock

from data.common.errors import UserError
from pipelines.cli.main import run

Printed = pytest.CaptureFixture[str]
HASH = "0123456789abcdef"
NAMES = ("digests", f"folder/{HASH}", f"tables/a-train-{HASH}", f"tables/b-train-{HASH}")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("WORDREEL_DATA_DIR", str(tmp_path))
    for number, name in enumerate(NAMES):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "data").write_bytes(bytes(1000))
        days = time.time() - 24 * 3600 * number
        os.utime(tmp_path / name, (days, days))
    (tmp_path / "photos" / "mine").mkdir(parents=True)
    return tmp_path


def listed(capsys: Printed) -> list[str]:
    capsys.readouterr()
    run(["cache", "--json"])
    return [json.loads(line)["name"] for line in capsys.readouterr().out.splitlines()]


def test_entries_are_listed_and_other_folders_left_out(home: Path, capsys: Printed) -> None:
    assert listed(capsys) == list(NAMES)
    assert run(["cache"]) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"{home}: 4.0 kB\n") and f"{NAMES[2]}  table of model inputs" in out


def test_entries_are_removed_by_name_pattern_and_age(home: Path, capsys: Printed) -> None:
    with pytest.raises(UserError, match=f"no entry 'tables/a-train': did you mean {NAMES[2]}"):
        run(["cache", "--clear", "tables/a-train"])
    assert run(["cache", "--clear", NAMES[2]]) == 0
    assert listed(capsys)[-2:] == [NAMES[1], NAMES[3]]
    run(["cache", "--clear", "--older-than", "2"])
    assert listed(capsys) == list(NAMES[:2])
    run(["cache", "--clear"])
    assert capsys.readouterr().out.endswith("2.0 kB removed\n")
    assert listed(capsys) == []
    assert (home / "photos" / "mine").exists()
    with pytest.raises(UserError, match="--older-than requires --clear"):
        run(["cache", "--older-than", "2"])


def test_an_entry_that_is_being_written_is_kept(home: Path, capsys: Printed) -> None:
    partial = home / "tables" / f"c-{HASH}.partial"
    partial.mkdir()
    work = home / NAMES[1] / ".work"
    work.mkdir()
    with FileLock(work / "lock"), FileLock(home / "tables" / f".c-{HASH}.lock"):
        assert run(["cache", "--clear"]) == 1
        assert capsys.readouterr().err.count("is being written: it is kept") == 2
    assert partial.exists() and (home / NAMES[1]).exists()
    assert run(["cache", "--clear"]) == 0
    assert not partial.exists() and not (home / NAMES[1]).exists()
