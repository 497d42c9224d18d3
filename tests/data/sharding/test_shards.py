"""Shards: the same bytes however they were written, and nothing readable until all are finished."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tensorflow_datasets as tfds
from hypothesis import given
from hypothesis import strategies as st

from data.annotations.entries import Entry, Problem
from data.common.errors import UserError
from data.sharding import shards, work_items
from data.sharding import write_dataset as writing
from data.sharding.datasets import load_annotations, preparable
from data.sharding.shard_writer import write_shard
from data.storage import manifest
from pipelines.jobs.prepare import prepare
from tests.support import prepared_folders
from tests.support.prepared_folders import (
    OPTIONS,
    add_images,
    build,
    content,
    image_folder,
)

written = prepared_folders.written  # a fixture


@given(st.sets(st.text(max_size=8), max_size=60), st.integers(1, 7), st.text(max_size=8))
def test_a_new_name_changes_one_group_and_moves_no_other(
    names: set[str], most: int, new: str
) -> None:
    before = list(shards.divide(names, most))
    after = list(shards.divide(names | {new}, most))
    assert sorted(name for group in before for name in group) == sorted(names)
    assert all(len(group) <= most for group in after)
    lost = [group for group in before if group not in after]
    assert len(lost) <= 1
    assert {new, *(name for group in lost for name in group)} >= {
        name for group in after if group not in before for name in group
    }


def test_the_key_of_a_shard_does_not_change() -> None:
    entry = Entry("1", "a.jpg", "a.jpg", ("a dog", "a cat"), "train", "animal", "g", "/anywhere")
    (shard,) = shards.plan_shards(
        [work_items.Item(entry, bytes(32), bytes(16))], {"dataset": "folder"}, 8
    )
    assert shard == shards.Shard("524ab15c9f01018be077752c5c07510d", "train", 1)


def test_tfds_reads_every_image_with_its_captions(tmp_path: Path, written: list[str]) -> None:
    text = build(image_folder(tmp_path / "source", 40), tmp_path / "out")
    builder = tfds.builder_from_directory(tmp_path / "out")
    found = {}
    for split in builder.info.splits:
        for example in builder.as_dataset(split=split).as_numpy_iterator():
            found[example["image_id"].decode()] = example["captions"][0].decode()
            assert example["image"].shape == (40, 50, 3)
    assert found == {f"{number}.jpg": f"an image of {number}" for number in range(40)}
    assert "sizes: 50 × 40 (40)" in text
    assert list(manifest.check(tmp_path / "out")) == []


def test_added_images_change_few_shards_and_move_no_other_image(
    tmp_path: Path, written: list[str]
) -> None:
    source = image_folder(tmp_path / "source", 60)
    build(source, tmp_path / "out")
    before, first = splits(tmp_path / "out"), len(written)
    assert "prepared before" in build(source, tmp_path / "out")
    assert len(written) == first
    add_images(source, range(60, 61))
    build(source, tmp_path / "out")
    assert 1 <= len(written) - first <= 2
    after = splits(tmp_path / "out")
    assert len(after) == 61 and after.items() >= before.items()
    shutil.rmtree(tmp_path / "out" / ".work")  # with the splits that were chosen
    add_images(source, range(61, 62))
    build(source, tmp_path / "out")
    build(source, tmp_path / "new")
    assert content(tmp_path / "out") == content(tmp_path / "new")


def splits(out: Path) -> dict[str, str]:
    """The split of each image."""
    builder = tfds.builder_from_directory(out)
    return {
        example["image_id"].decode(): split
        for split in builder.info.splits
        for example in builder.as_dataset(split=split).as_numpy_iterator()
    }


def test_an_interrupted_job_resumes_to_the_same_bytes_and_is_never_half_readable(
    tmp_path: Path, written: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    source, out = image_folder(tmp_path / "source", 60), tmp_path / "out"
    for name in ("before", "after", "out"):
        build(source, tmp_path / name)
    add_images(source, range(60, 64))
    build(source, tmp_path / "after")

    class Killed(BaseException):
        pass

    def dying(function: Callable[..., Any], after: int) -> Callable[..., Any]:
        left = [after]

        def wrapper(*given: Any, **named: Any) -> Any:
            left[0] -= 1
            if left[0] < 0:
                raise Killed
            return function(*given, **named)

        return wrapper

    before, after = content(tmp_path / "before"), content(tmp_path / "after")
    for name, calls in (("unlink", 4), ("rename", 24), ("exists", 40), ("glob", 1)):
        for number in range(0, calls, max(1, calls // 4)):
            with monkeypatch.context() as patch:
                patch.setattr(Path, name, dying(getattr(Path, name), number))
                with contextlib.suppress(Killed):
                    build(source, out)
            if (out / "dataset_info.json").exists():
                assert content(out) in (before, after)
    build(source, out)
    assert content(out) == after


def test_check_names_damaged_files_and_the_same_command_repairs_them(
    tmp_path: Path, written: list[str]
) -> None:
    source, out = image_folder(tmp_path / "source", 40), tmp_path / "out"
    build(source, out)
    whole = content(out)
    flipped, short, gone, *_ = sorted(out.glob("*.tfrecord-*"))
    data = bytearray(flipped.read_bytes())
    data[len(data) // 2] ^= 1
    flipped.write_bytes(data)
    short.write_bytes(short.read_bytes()[:-7])
    gone.unlink()
    size = len(short.read_bytes())
    assert set(manifest.check(out)) == {
        f"{flipped.name}: its content has changed",
        f"{short.name}: {size:,} bytes instead of {size + 7:,}",
        f"{gone.name}: missing",
    }
    flipped.unlink()
    build(source, out)
    assert content(out) == whole


def test_unusable_images_are_reported_and_limited(tmp_path: Path, written: list[str]) -> None:
    source, out = image_folder(tmp_path / "source", 40), tmp_path / "out"
    (source / "images" / "3.jpg").write_bytes(b"not an image")
    held = next(e for e in load_annotations("folder", source, OPTIONS).entries if e.split == "test")
    train = next(
        e for e in load_annotations("folder", source, OPTIONS).entries if e.split == "train"
    )
    (source / "images" / train.file).write_bytes(held.path.read_bytes())
    with pytest.raises(UserError, match=r"2 of 40 images \(5.0%\) have problems"):
        build(source, out, max_bad=0)
    assert not (out / "dataset_info.json").exists()
    before = len(written)
    build(source, out, max_bad=0.1)
    assert len(written) == before  # shards of the first attempt are used
    lines = [json.loads(line) for line in (out / "skipped.jsonl").read_text().splitlines()]
    assert {line["file"]: line["reason"] for line in lines} == {
        "3.jpg": "undecodable: not an image",
        train.file: f"in two splits: {held.file} in test (kept) is the same image",
    }
    builder = tfds.builder_from_directory(out)
    assert sum(split.num_examples for split in builder.info.splits.values()) == 38


def test_a_folder_with_other_files_or_another_job_is_refused(
    tmp_path: Path, written: list[str]
) -> None:
    source = image_folder(tmp_path / "source", 20)
    other = tmp_path / "other"
    other.mkdir()
    (other / "thesis.tex").write_text("…")
    with pytest.raises(UserError, match=r"holds other things \(thesis.tex\)"):
        build(source, other)
    build(source, tmp_path / "out")
    with pytest.raises(UserError, match=r"options was \{'max_side': 64\}, now \{'max_side': 32\}"):
        prepare("folder", str(source), tmp_path / "out", options={"max_side": 32})
    assert list(manifest.check(tmp_path / "out")) == []


def test_a_file_that_changes_or_vanishes_stops_the_job(
    tmp_path: Path, written: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    source = image_folder(tmp_path / "source", 20)
    hashed = work_items.hash_files

    def then(change: Callable[[Path], object]) -> None:
        def wrapper(*given: Any) -> Any:
            found = hashed(*given)
            change(source / "images" / "5.jpg")
            return found

        monkeypatch.setattr(writing, "hash_files", wrapper)

    then(lambda path: path.write_bytes(path.read_bytes() + b"\0"))
    with pytest.raises(UserError, match=r"5\.jpg was changed while it was read"):
        build(source, tmp_path / "out")
    then(lambda path: path.unlink())
    with pytest.raises(UserError, match=r"5\.jpg.*(changed|any more)"):
        build(source, tmp_path / "out")


def test_duplicate_ids_and_names_that_differ_in_case_are_reported() -> None:
    def item(name: str, file: str, split: str, digest: str) -> work_items.Item:
        entry = Entry(name, file, file, ("a dog",), split)
        return work_items.Item(entry, digest.encode(), None)

    kept, problems = work_items.remove_duplicates(
        [
            item("1", "a.jpg", "train", "x"),
            item("1", "b.jpg", "train", "y"),
            item("2", "A.jpg", "test", "z"),
        ],
        "image",
    )
    assert [each.entry.file for each in kept] == ["A.jpg", "a.jpg"]
    assert problems == [
        Problem("a.jpg", "differs only in case: from A.jpg", "a.jpg", bad=False),
        Problem("b.jpg", "id given twice: '1' is a.jpg (kept) as well", "b.jpg"),
    ]


@pytest.mark.parametrize(
    "name",
    ["synthetic-scenes", "digits", "synthetic-clips", "synthetic-reviews", "synthetic-pairs"],
)
def test_every_generated_dataset_can_be_stored(name: str, tmp_path: Path) -> None:
    options = preparable(name).options({})
    entries = load_annotations(name, None, options).entries[:2]
    (tmp_path / ".work").mkdir()
    found = work_items.hash_files(entries, tmp_path / work_items.DIGESTS)
    job = {"dataset": name, "options": options, "encoder": None, "pixels": True}
    planned = shards.plan_shards(found, job, 100)
    place = shards.WorkFolder(tmp_path)
    (tmp_path / work_items.DIGESTS).unlink(missing_ok=True)
    (shard,) = place.begin(job, planned)
    write_shard(place.folder, shard.key, {})
    assert place.note(shard.key)["examples"] == 2
