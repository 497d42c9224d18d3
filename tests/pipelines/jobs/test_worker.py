"""Jobs: any number of workers makes the same bytes; a crashing worker does not end the job."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from data.common.errors import UserError
from data.sharding.shard_writer import write_shard
from data.sharding.shards import Shard
from pipelines.jobs import beam
from pipelines.jobs import worker as shard_worker
from pipelines.jobs.prepare import prepare
from tests.support import crashing_data, prepared_folders
from tests.support.paths import ROOT
from tests.support.prepared_folders import two_workers


def test_only_the_item_that_crashes_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shard_worker, "make", crashing_data.crash_on_one_item)
    monkeypatch.setattr(shard_worker, "attempt", crashing_data.crash_alone)
    worker = shard_worker.Worker(str(tmp_path))
    assert worker.build("key")
    worker.close()
    found = json.loads((tmp_path / "key.json").read_text())
    assert found == {str(crashing_data.CRASHING): "it crashes the decoder"}


def test_an_error_that_the_user_can_fix_stops_all_workers_with_a_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed = tmp_path / shard_worker.FAILED
    monkeypatch.setattr(shard_worker, "make", crashing_data.full_disk)
    worker = shard_worker.Worker(str(tmp_path))
    assert not worker.build("key")
    assert failed.read_text().startswith("the disk is full '/out/shard'")
    monkeypatch.setattr(shard_worker, "make", crashing_data.always_exit)
    monkeypatch.setattr(shard_worker, "TRIALS", 2)
    assert not worker.build("other")
    assert "disk is full" in failed.read_text()  # not started
    failed.unlink()
    assert not worker.build("other")
    assert "is there enough memory?" in failed.read_text()
    worker.close()


def test_two_workers_make_the_bytes_of_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = prepared_folders.image_folder(tmp_path / "source", 300)
    options = prepared_folders.OPTIONS
    prepare("folder", str(source), tmp_path / "two", options=options, beam_options=two_workers())

    def here(work: Path, missing: list[Shard], unit: str, words: object) -> None:
        for shard in reversed(missing):
            write_shard(work, shard.key, {})

    monkeypatch.setattr(beam, "run", here)
    prepare("folder", str(source), tmp_path / "one", options=options)
    one, two = (
        prepared_folders.content(tmp_path / "one"),
        prepared_folders.content(tmp_path / "two"),
    )
    assert sum("tfrecord" in name for name in one) >= 4
    assert one == two


def test_a_worker_process_ends_with_its_parent(tmp_path: Path) -> None:
    file = tmp_path / "pid"
    code = (
        "from tests.support import crashing_data; from pipelines.jobs.worker import Worker; "
        f"Worker({str(tmp_path)!r}).call(crashing_data.sleep_forever, {str(file)!r})"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": "."},
        cwd=ROOT,
    )
    while not file.exists() or not file.read_text():
        assert parent.poll() is None
        time.sleep(0.05)
    parent.kill()
    parent.wait()
    pid = int(file.read_text())
    for _ in range(200):
        if not Path(f"/proc/{pid}").exists() or "Z" in state(pid):
            return
        time.sleep(0.05)
    pytest.fail("the process has not ended with its parent")


def state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return "Z"


def test_missing_shards_are_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beam.BuildShard, "process", lambda self, key: iter([key]))
    with pytest.raises(UserError, match="1 of 1 shards are missing: do all workers share"):
        beam.run(tmp_path, [Shard("key", "train", 1)], "images", two_workers())


def test_a_failing_runner_is_a_user_error(tmp_path: Path) -> None:
    nowhere = ["--runner=PortableRunner", "--job_endpoint=localhost:1", "--job_server_timeout=1"]
    for options, reason in (
        (["--runner=FlinkRuner"], "FlinkRuner"),
        (nowhere, "FutureTimeoutError"),
    ):
        with pytest.raises(UserError, match=f"the runner failed: .*{reason}(?s:.)*same command"):
            beam.run(tmp_path, [Shard("key", "train", 1)], "images", options)


def test_an_unknown_option_is_an_error() -> None:
    beam.check_options(["--runner=FlinkRunner", "--flink_master", "a:8081", "--parallelism=4"])
    with pytest.raises(UserError, match="unknown option --imagesize=64: neither prepare nor"):
        beam.check_options(["--imagesize=64"])
