"""Jobs: workers make the same bytes, in processes that may die without taking the job along."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import deadly
import pytest
import test_shards

from data.errors import UserError
from data.shard_writer import write_shard
from data.shards import Shard
from pipelines import jobs, shard_worker
from pipelines.preparation import prepare


def test_the_item_that_kills_is_left_out_and_a_bystander_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shard_worker, "make", deadly.deadly_make)
    monkeypatch.setattr(shard_worker, "attempt", deadly.deadly_attempt)
    worker = shard_worker.Worker(str(tmp_path))
    assert worker.build("key")
    worker.close()
    found = json.loads((tmp_path / "key.json").read_text())
    assert found == {str(deadly.POISON): "whatever reads it crashes"}


def test_what_a_user_can_mend_stops_all_workers_in_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed = tmp_path / shard_worker.FAILED
    monkeypatch.setattr(shard_worker, "make", deadly.full_disk)
    worker = shard_worker.Worker(str(tmp_path))
    assert not worker.build("key")
    assert failed.read_text().startswith("the disk is full '/out/shard'")
    monkeypatch.setattr(shard_worker, "make", deadly.always_dying)
    monkeypatch.setattr(shard_worker, "TRIALS", 2)
    assert not worker.build("other")
    assert "disk is full" in failed.read_text()  # not even begun
    failed.unlink()
    assert not worker.build("other")
    assert "is there memory enough?" in failed.read_text()
    worker.close()


def test_two_workers_make_the_bytes_of_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = test_shards.picture_folder(tmp_path / "source", 300)
    options = test_shards.OPTIONS
    prepare("folder", str(source), tmp_path / "two", options=options, beam_options=two_workers())

    def here(work: Path, missing: list[Shard], unit: str, words: object) -> None:
        for shard in reversed(missing):
            write_shard(work, shard.key, {})

    monkeypatch.setattr(jobs, "run", here)
    prepare("folder", str(source), tmp_path / "one", options=options)
    one, two = test_shards.content(tmp_path / "one"), test_shards.content(tmp_path / "two")
    assert sum("tfrecord" in name for name in one) >= 4
    assert one == two


def two_workers() -> list[str]:
    runner = "apache_beam.runners.portability.fn_api_runner.FnApiRunner"
    return [f"--runner={runner}", "--direct_num_workers=2", "--direct_running_mode=multi_threading"]


def test_a_process_that_works_ends_with_the_one_that_waits(tmp_path: Path) -> None:
    file = tmp_path / "pid"
    code = (
        "import deadly; from pipelines.shard_worker import Sandbox; "
        f"Sandbox().call(deadly.orphan, {str(file)!r})"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([".", "tests"])},
        cwd=Path(__file__).parents[1],
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
    pytest.fail("the process outlives its parent")


def state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return "Z"


def test_shards_that_no_worker_brings_are_missed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs.BuildShard, "process", lambda self, key: iter([key]))
    with pytest.raises(UserError, match="1 of 1 shards did not come: do all workers see"):
        jobs.run(tmp_path, [Shard("key", "train", 1)], "pictures", two_workers())


def test_a_runner_that_gives_up_is_no_fault_of_the_program(tmp_path: Path) -> None:
    nowhere = ["--runner=PortableRunner", "--job_endpoint=localhost:1", "--job_server_timeout=1"]
    for options, reason in (
        (["--runner=FlinkRuner"], "FlinkRuner"),
        (nowhere, "FutureTimeoutError"),
    ):
        with pytest.raises(UserError, match=f"the runner gave up: .*{reason}(?s:.)*same command"):
            jobs.run(tmp_path, [Shard("key", "train", 1)], "pictures", options)


def test_an_option_that_nobody_knows_is_refused() -> None:
    jobs.check_options(["--runner=FlinkRunner", "--flink_master", "a:8081", "--parallelism=4"])
    with pytest.raises(UserError, match="unknown option --imagesize=64: neither prepare nor"):
        jobs.check_options(["--imagesize=64"])
