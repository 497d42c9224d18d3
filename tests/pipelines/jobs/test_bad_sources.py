"""Bad sources and full disks: jobs stop with an error and damage nothing."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from data.common.errors import UserError
from data.images.datasets import ImageDataset
from data.sharding import shards, work_items
from data.sharding.datasets import load_annotations, preparable
from data.sharding.shard_writer import write_shard
from data.storage import fingerprints, manifest
from pipelines.cli.main import run
from pipelines.jobs import beam
from pipelines.jobs.prepare import prepare
from pipelines.jobs.worker import FAILED
from pipelines.runtime.console import exit_code, explanation
from tests.support import prepared_folders
from tests.support.source_files import fill, jpeg

OPTIONS = {"max_side": 64}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Return a folder of eight images with captions."""
    rows = [f"{number}.jpg,picture {number}" for number in range(8)]
    files = {f"images/{number}.jpg": jpeg(number) for number in range(8)}
    table = "\n".join(["image,caption", *rows])
    return fill(tmp_path / "source", {**files, "captions.csv": table})


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make shards in this process."""

    def run(work: Path, missing: list[shards.Shard], unit: str, options: object) -> None:
        for shard in missing:
            write_shard(work, shard.key, {})

    monkeypatch.setattr("pipelines.jobs.beam.run", run)


def skipped(out: Path) -> dict[str, str]:
    lines = (out / "skipped.jsonl").read_text(encoding="utf-8").splitlines()
    return {line["file"]: line["reason"] for line in map(json.loads, lines)}


def test_an_unreadable_image_is_reported_and_used_once_it_is_readable(
    source: Path, tmp_path: Path, here: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = fingerprints.file_digest

    def denied(path: Path) -> Any:  # as the system answers all but the administrator
        return errno.EACCES if path.name == "5.jpg" else content(path)

    out, files = tmp_path / "out", sorted(source.rglob("*"))
    with monkeypatch.context() as patch:
        patch.setattr(fingerprints, "file_digest", denied)
        prepare("folder", str(source), out, options=OPTIONS, max_bad=0.2)
        assert skipped(out) == {"5.jpg": "unreadable: Permission denied"}
    prepare("folder", str(source), out, options=OPTIONS)
    assert skipped(out) == {}
    assert list(manifest.check(out)) == []
    assert sorted(source.rglob("*")) == files  # nothing is ever written there


def test_a_folder_that_may_not_be_read_stops_the_job(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scandir = os.scandir

    def denied(path: Any) -> Any:
        if Path(path).name == "images":
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", denied)
    with pytest.raises(UserError, match=r"cannot read .*images: Permission denied"):
        prepare("folder", str(source), tmp_path / "out", options=OPTIONS)


def test_a_source_on_a_lost_disk_stops_the_job_and_keeps_finished_shards(
    source: Path, tmp_path: Path, here: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ImageDataset, "shard_size", 2)
    out, writer = tmp_path / "out", write_shard

    def then_gone(work: Path, missing: list[shards.Shard], unit: str, options: object) -> None:
        writer(work, missing[0].key, {})
        shutil.move(source, tmp_path / "unplugged")
        writer(work, missing[1].key, {})

    with monkeypatch.context() as patch:
        patch.setattr("pipelines.jobs.beam.run", then_gone)
        with pytest.raises(UserError, match=r"\.jpg was changed while|cannot read .* any more"):
            prepare("folder", str(source), out, options=OPTIONS)
    assert not (out / "dataset_info.json").exists()
    assert len(list((out / ".work").glob("*.tfrecord"))) == 1
    with pytest.raises(UserError, match="no such folder"):
        prepare("folder", str(source), out, options=OPTIONS)
    shutil.move(tmp_path / "unplugged", source)
    prepare("folder", str(source), out, options=OPTIONS)
    assert list(manifest.check(out)) == []


def test_a_full_disk_ends_a_shard_and_with_room_it_is_made(
    source: Path, tmp_path: Path, here: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = shards.WorkFolder(tmp_path / "out")
    place.folder.mkdir(parents=True)
    found = work_items.hash_files(
        load_annotations("folder", source, OPTIONS).entries, place.folder / "known"
    )
    job = {"dataset": "folder", "options": OPTIONS, "encoder": None, "pixels": True}
    first, *_ = place.begin(job, shards.plan_shards(found, job, 8))
    partial = place.path(first.key, ".partial")
    partial.symlink_to("/dev/full")
    with pytest.raises(OSError) as caught:
        write_shard(place.folder, first.key, {})
    assert str(explanation(caught.value)).startswith(
        f"the disk is full '{partial}': free some space"
    )
    assert not place.path(first.key, ".json").exists()
    partial.unlink()
    write_shard(place.folder, first.key, {})
    assert place.note(first.key)["examples"] == first.size


def test_a_worker_that_cannot_even_say_that_the_disk_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def process(self: Any, key: str) -> Iterator[str]:
        (tmp_path / FAILED).touch()  # there was room for a name, and none for a word
        return iter([])

    monkeypatch.setattr(beam.BuildShard, "process", process)
    with pytest.raises(UserError, match=r"workers could not write to .*: is the disk full"):
        beam.run(
            tmp_path, [shards.Shard("key", "train", 1)], "pictures", prepared_folders.two_workers()
        )


@pytest.mark.parametrize(
    "dataset, files, said",
    [
        ("folder", {}, "source is empty"),
        ("folder", {"captions.csv": "image,caption\n", "images/.keep": ""}, "no|every"),
        ("folder", {"captions.csv": "image,caption\na.jpg,a dog\n", "images/.keep": ""}, "none of"),
        ("labeled-images", {"daisy/.keep": "", "rose/.keep": ""}, "daisy, rose"),
        ("clip-folder", {"labels.csv": "file,label\n", "clips/.keep": ""}, "no|every"),
        ("texts", {"texts.csv": "text,label\n"}, "two classes or more"),
        ("pairs", {"train.tsv": ""}, "no column text .* no column translation"),
    ],
)
def test_a_source_without_examples_is_an_error(
    dataset: str, files: dict[str, str], said: str, tmp_path: Path
) -> None:
    source, out = fill(tmp_path / "source", files), tmp_path / "out"
    source.mkdir(exist_ok=True)
    options = preparable(dataset).options({})
    with pytest.raises(UserError, match=said):
        prepare(dataset, str(source), out, options=options)
    assert not (out / "dataset_info.json").exists()


def test_an_out_that_is_not_a_folder_is_an_error(
    source: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("mine")
    words = ["prepare", "folder", "--source", str(source), "--out", str(tmp_path / "file")]
    assert exit_code(lambda: run(words)) == 2
    assert "cannot write or read" in capfd.readouterr().err
    assert (tmp_path / "file").read_text() == "mine"


def test_cyclic_links_and_names_that_differ_in_case_do_not_stop_a_job(
    source: Path, tmp_path: Path, here: None
) -> None:
    images = source / "images"
    (images / "one.jpg").symlink_to("two.jpg")
    (images / "two.jpg").symlink_to("one.jpg")
    (images / "above").symlink_to("..")
    (images / "Photo.JPG").write_bytes(jpeg(20))
    (images / "photo.jpg").write_bytes(jpeg(21))
    with (source / "captions.csv").open("a") as file:
        file.write("\nPhoto.JPG,large letters\nphoto.jpg,small letters\n0.jpg,once more\n")
    prepare("folder", str(source), tmp_path / "out", options=OPTIONS)
    (reason,) = skipped(tmp_path / "out").values()
    assert reason.startswith("differs only in case: from ")
    assert sum(note["examples"] for note in read(tmp_path / "out")) == 10


def read(out: Path) -> list[dict[str, Any]]:
    found = manifest.read_manifest(out)
    assert found is not None
    return list(found["shards"].values())
