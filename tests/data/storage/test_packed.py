"""Images and clips in Parquet tables and tar shards, and Hugging Face's image folder."""

from __future__ import annotations

import io
import json
import tarfile
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data.annotations.entries import Annotations
from data.annotations.splits import split_of_path
from data.common.errors import UserError
from data.images.datasets import IMAGE_DATASETS
from data.media.packed import read_content
from data.media.sampling import BadClip, Sampling
from data.media.video import sample
from data.sharding.prepare import prepare_images
from data.storage.dataset_info import find_dataset
from data.video.datasets import CLIP_DATASETS
from tests.support.source_files import fill, jpeg
from tests.support.video_files import numbers as frame_numbers
from tests.support.video_files import write_clip

COUNT = 24


def load(source: Path, name: str = "folder") -> Annotations:
    datasets = {dataset.name: dataset for dataset in (*IMAGE_DATASETS, *CLIP_DATASETS)}
    return find_dataset(name, datasets).load_annotations(source, {})


def write_tar(path: Path, members: dict[str, bytes]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as tar:
        for name, data in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))


def write_parquet(path: Path, columns: dict[str, list[Any]], metadata: Any = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    table = pa.table(columns)
    if metadata:
        table = table.replace_schema_metadata({"huggingface": json.dumps(metadata)})
    pq.write_table(table, path, row_group_size=5)


def texts(found: Annotations) -> Counter[tuple[str, ...]]:
    return Counter(entry.captions for entry in found.entries)


EXPECTED = Counter({(f"a dog {n}", f"it runs {n}"): 1 for n in range(COUNT)})


def parquet(source: Path) -> None:
    for part in range(2):
        numbers = range(part * 12, part * 12 + 12)
        columns: dict[str, list[Any]] = {
            "image": [{"bytes": jpeg(n), "path": f"{n}.jpg"} for n in numbers],
            "caption": [[f"a dog {n}", f"it runs {n}"] for n in numbers],
        }
        write_parquet(source / f"data/part-{part:05}.parquet", columns)


def plain_parquet(source: Path) -> None:
    columns: dict[str, list[Any]] = {"jpg": [jpeg(n) for n in range(COUNT)]}
    columns |= {
        f"caption_{k}": [f"{w} {n}" for n in range(COUNT)]
        for k, w in enumerate(("a dog", "it runs"))
    }
    write_parquet(source / "all.parquet", columns)


def image_folder(source: Path) -> None:
    rows = [{"file_name": f"{n}.jpg", "text": [f"a dog {n}", f"it runs {n}"]} for n in range(COUNT)]
    fill(source, {"metadata.jsonl": "\n".join(map(json.dumps, rows))})
    fill(source, {f"{n}.jpg": jpeg(n) for n in range(COUNT)})


def shards(source: Path) -> None:
    """As img2dataset writes them, with further files beside."""
    for part in range(2):
        members = dict[str, bytes]()
        for n in range(part * 12, part * 12 + 12):
            members[f"{n:09}.jpg"] = jpeg(n)
            members[f"{n:09}.json"] = json.dumps(
                {
                    "captions": [f"a dog {n}", f"it runs {n}"],
                    "url": "https://example.org",
                    "status": "success",
                }
            ).encode()
        write_tar(source / f"{part:05}.tar", members)
        write_parquet(source / f"{part:05}.parquet", {"url": ["x"], "caption": ["y"]})
        fill(source, {f"{part:05}_stats.json": {"count": 12}})


@pytest.mark.parametrize("write", [parquet, plain_parquet, image_folder, shards])
def test_images_are_read_with_their_captions_and_prepared(tmp_path: Path, write: Any) -> None:
    write(tmp_path / "source")
    found = load(tmp_path / "source")
    assert texts(found) == EXPECTED and not found.problems
    assert Counter(entry.split for entry in found.entries)["test"] >= 2
    data = {read_content(entry.path, entry.place) for entry in found.entries}
    assert data == {jpeg(n) for n in range(COUNT)}
    prepared = prepare_images("folder", tmp_path / "source", data_dir=tmp_path / "data")
    stored = {
        tuple(captions): image
        for split in prepared.splits
        for (_, captions), (_, image) in zip(
            prepared.captions(split), prepared.images(split), strict=True
        )
    }
    assert stored == {captions: jpeg(int(captions[0][6:])) for captions in EXPECTED}


def test_text_files_in_a_shard_are_captions(tmp_path: Path) -> None:
    members = {f"{n}.{end}": data for n in range(20) for end, data in
               (("txt", f"a dog {n}".encode()), ("png", jpeg(n)))}  # fmt: skip
    write_tar(tmp_path / "train-000.tar", members | {"alone.jpg": jpeg(99)})
    write_tar(tmp_path / "val-000.tar", {"x.jpg": jpeg(77), "x.txt": b"a cat"})
    found = load(tmp_path)
    assert texts(found)[("a cat",)] == 1
    splits = {entry.captions[0]: entry.split for entry in found.entries}
    assert splits["a cat"] == "validation" and set(splits.values()) >= {"train", "test"}
    assert {problem.file: problem.reason for problem in found.problems if problem.bad} == {
        "train-000.tar#alone.jpg": "without captions"
    }


def test_clips_in_shards_are_read_with_captions_labels_and_parts(tmp_path: Path) -> None:
    clips = [write_clip(tmp_path / f"{n}.avi", range(40 * n, 40 * n + 30)) for n in range(12)]
    data, members = [clip.read_bytes() for clip in clips], dict[str, bytes]()
    for n in range(10):
        about = {"caption": f"a dog {n}", "label": "ab"[n % 2], "start": 0.4 * (n == 9)}
        members |= {f"x/{n}.avi": data[n], f"x/{n}.json": json.dumps(about).encode()}
    members |= {"x/bad.avi": data[0][:99], "x/bad.txt": b"cut", "x/._0.avi": b"AppleDouble"}
    write_tar(tmp_path / "set/train-0.tar", members)
    write_tar(tmp_path / "set/val-0.tar", {"v.avi": data[10], "v.txt": b"a cat", "v.cls": b"b"})
    found = load(tmp_path / "set", "clip-folder")
    by_name = {entry.file.partition("#")[2]: entry for entry in found.entries}
    assert len(by_name) == 12 and not found.problems
    assert by_name["x/3.avi"].captions == ("a dog 3",) and by_name["x/3.avi"].label == "b"
    assert (by_name["v.avi"].split, by_name["v.avi"].captions) == ("validation", ("a cat",))
    for name, first in (("x/3.avi", 120), ("x/9.avi#t=0.4", 370), ("v.avi", 400)):
        entry = by_name[name]
        clip = sample(entry.path, Sampling(rate=25.0), start=entry.start, place=entry.place)
        assert frame_numbers(clip.frames)[0] == first
    with pytest.raises(BadClip):
        sample(by_name["x/bad.avi"].path, Sampling(count=1), place=by_name["x/bad.avi"].place)
    columns: dict[str, list[Any]] = {"video": [{"bytes": each} for each in data]}
    write_parquet(tmp_path / "tables/0.parquet", columns | {"label": [*"abcabcabcabc"]})
    labeled = load(tmp_path / "tables", "clip-folder")
    assert Counter(entry.label for entry in labeled.entries) == {"a": 4, "b": 4, "c": 4}
    kept = {read_content(entry.path, entry.place) for entry in labeled.entries}
    assert kept == set(data)


@pytest.mark.parametrize(
    ("path", "split"),
    [
        ("train-00000-of-00002.parquet", "train"),
        ("data/validation-00000-of-00001-ab12.parquet", "validation"),
        ("test/0000.parquet", "test"),
        ("val/00000.tar", "validation"),
        ("training_set/1.tar", "train"),
        ("cc3m-test-0001.tar", "test"),
        ("latest/0.tar", None),
        ("00000.tar", None),
    ],
)
def test_names_of_files_and_folders_have_the_split(path: str, split: str | None) -> None:
    assert split_of_path(path) == split


def test_labels_of_parquet_have_the_names_of_their_classes(tmp_path: Path) -> None:
    names = ["cat", "dog"]
    metadata = {"info": {"features": {"label": {"names": names, "_type": "ClassLabel"}}}}
    for split, numbers in (("train", range(20)), ("test", range(20, 24))):
        columns: dict[str, list[Any]] = {
            "image": [{"bytes": jpeg(n), "path": None} for n in numbers],
            "label": [n % 2 if n < 23 else -1 for n in numbers],
        }
        write_parquet(tmp_path / f"{split}-00000-of-00001.parquet", columns, metadata)
    found = load(tmp_path, "labeled-images")
    assert Counter(entry.label for entry in found.entries) == {"cat": 12, "dog": 11}
    assert {entry.split for entry in found.entries} == {"train", "validation", "test"}


def test_a_split_folder_with_metadata_gives_the_split(tmp_path: Path) -> None:
    for split, numbers in (
        ("train", range(20)),
        ("validation", range(20, 22)),
        ("test", range(22, 24)),
    ):
        rows = "".join(f"{n}.jpg,a dog {n}\n" for n in numbers)
        fill(tmp_path / split, {"metadata.csv": f"file_name,text\n{rows}"})
        fill(tmp_path / split, {f"{n}.jpg": jpeg(n) for n in numbers})
    found = load(tmp_path)
    counts = Counter(entry.split for entry in found.entries)
    assert counts == {"train": 20, "validation": 2, "test": 2}


def test_an_unusable_packed_file_is_named(tmp_path: Path) -> None:
    write_parquet(tmp_path / "a.parquet", {"image": [jpeg(0)], "url": ["x"]})
    with pytest.raises(UserError, match=r"a\.parquet: no column caption \(name it caption, "):
        load(tmp_path)
    (tmp_path / "a.parquet").write_bytes(b"PAR1")
    with pytest.raises(UserError, match=r"a\.parquet cannot be read"):
        load(tmp_path)
    write_tar(tmp_path / "b.tar", {"a.jpg": jpeg(0), "a.txt": b"a dog"})
    data = (tmp_path / "b.tar").read_bytes()
    (tmp_path / "b.tar").write_bytes(data[:700])
    with pytest.raises(UserError, match=r"b\.tar cannot be read as .tar"):
        load(tmp_path)
