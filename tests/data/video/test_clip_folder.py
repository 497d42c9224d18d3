"""Own clips: tables of any usual columns, a table for each split, a folder for each class."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from data.annotations.entries import Annotations
from data.common.errors import UserError
from data.sharding.datasets import load_annotations
from data.video.clip_folder import read_clip_folder
from tests.support.source_files import by_split, captions, fill, media


def labels(listing: Annotations) -> dict[str, str]:
    return {entry.image_id: entry.label for entry in listing.entries}


def wrong(listing: Annotations) -> set[tuple[str, str]]:
    return {(problem.file, problem.reason) for problem in listing.problems}


def test_own_clips_with_labels(tmp_path: Path) -> None:
    table = "file,label,split\na.mp4,run,train\nclips/b.avi,jump,train\nc.gif,run,dev\nd.mp4,jump,"
    fill(tmp_path, {"labels.csv": table} | media("clips", "a.mp4", "b.avi", "c.gif", "d.mp4"))
    listing = load_annotations("clip-folder", tmp_path, {})
    assert by_split(listing) == {"train": ["a.mp4", "b.avi"], "validation": ["c.gif"]}
    assert labels(listing) == {"a.mp4": "run", "b.avi": "jump", "c.gif": "run"}
    assert wrong(listing) == {
        ("d.mp4", "without a split, which others have"),
        ("b.avi", "label with one clip: 'jump'"),
    }
    assert listing.total == 4


def test_own_clips_with_captions_and_with_labels(tmp_path: Path) -> None:
    files = {
        "captions.csv": "clip;caption_1;caption_2\na.mp4;One; \na.mp4;Two;Three, four\nb.mp4;Vier;",
        "labels.tsv": "clip\tlabel\na.mp4\trun\nb.mp4\trun",
    }
    fill(tmp_path, files | media("clips", "a.mp4", "b.mp4", "notes.txt"))
    listing = load_annotations("clip-folder", tmp_path, {})
    assert captions(listing) == {"a.mp4": ("One", "Two", "Three, four"), "b.mp4": ("Vier",)}
    assert labels(listing) == {"a.mp4": "run", "b.mp4": "run"}
    assert listing.problems == ()


def test_a_part_of_a_clip_is_an_entry(tmp_path: Path) -> None:
    rows = ["a.mp4,0,1.5,run", "a.mp4,1.5,4,run", "a.mp4,4,,run", "b.mp4,,,run"]
    table = "\n".join(["video,start,end,label", *rows])
    fill(tmp_path, {"labels.csv": table} | media("clips", "a.mp4", "b.mp4"))
    listing = read_clip_folder(tmp_path)
    assert {entry.image_id: (entry.start, entry.end) for entry in listing.entries} == {
        "a.mp4#t=0,1.5": (0.0, 1.5),
        "a.mp4#t=1.5,4": (1.5, 4.0),
        "a.mp4#t=4": (4.0, None),
        "b.mp4": (0.0, None),
    }
    assert {entry.path.name for entry in listing.entries} == {"a.mp4", "b.mp4"}
    # Parts of a clip are in one split.
    assert len({entry.split for entry in listing.entries if entry.path.name == "a.mp4"}) == 1
    assert listing.problems == ()


def test_own_clips_in_json_lines(tmp_path: Path) -> None:
    rows = [
        {"clip": "a.mp4", "captions": ["One", "Two"], "start": 0.5, "end": 2, "split": "train"},
        {"clip": "b.mp4", "caption": "Three", "group": 7, "split": "dev"},
    ]
    fill(tmp_path, {"captions.jsonl": "\n".join(map(json.dumps, rows))})
    listing = read_clip_folder(fill(tmp_path, media("clips", "a.mp4", "b.mp4")))
    assert captions(listing) == {"a.mp4#t=0.5,2": ("One", "Two"), "b.mp4": ("Three",)}
    assert [entry.group for entry in listing.entries] == ["a.mp4", "7"]
    assert listing.problems == ()


def test_a_group_is_in_one_split(tmp_path: Path) -> None:
    rows = [f"{number}.mp4,run,g{number // 5}" for number in range(200)]
    fill(tmp_path, {"labels.csv": "\n".join(["file,label,group", *rows])})
    fill(tmp_path, media("clips", *(f"{number}.mp4" for number in range(200))))
    listing = load_annotations("clip-folder", tmp_path, {})
    splits: dict[str, set[str]] = {}
    for entry in listing.entries:
        splits.setdefault(entry.group, set()).add(entry.split)
    assert len(splits) == 40 and all(len(each) == 1 for each in splits.values())
    assert set.union(*splits.values()) == {"train", "validation", "test"}
    assert listing.notes == ("no splits given: 80 % train, 10 % validation, 10 % test, by content",)


def test_each_problem_of_own_clips_is_reported(tmp_path: Path) -> None:
    rows = [
        "a.mp4,run,train,g,,",
        "a.mp4,run,train,g,,",
        "b.mp4,run,train,h,,",
        "b.mp4,jump,train,h,,",
        "c.mp4,run,dev,g,,",
        "d.mp4,run,train,i,5,2",
        "e.mp4,run,train,i,x,2",
        "f.mp4,run,trian,i,,",
        "gone.mp4,run,train,i,,",
        "g.mp4,run,train",
        ",run,train,i,,",
        "h.mp4,,train,i,,",
        "../a.mp4,run,train,i,,",
    ]
    table = "\n".join(["file,label,split,group,start,end", *rows])
    names = [f"{letter}.mp4" for letter in "abcdefgh"]
    fill(tmp_path, {"labels.csv": table} | media("clips", *names, "stray.avi", "größe.mp4"))
    listing = load_annotations("clip-folder", tmp_path, {})
    assert by_split(listing) == {"train": ["a.mp4", "b.mp4"], "validation": ["c.mp4"]}
    found = {(file, reason.partition(":")[0]) for file, reason in wrong(listing)}
    assert found >= {
        ("a.mp4", "listed twice"),
        ("b.mp4", "two labels"),
        ("d.mp4", "not a part of a clip, in seconds"),
        ("e.mp4", "not a part of a clip, in seconds"),
        ("f.mp4", "unknown split"),
        ("gone.mp4", "missing"),
        ("g.mp4", "wrong number of fields"),
        ("labels.csv:12", "no file"),
        ("h.mp4", "without captions or a label"),
        ("../a.mp4", "outside clips"),
        ("stray.avi", "without captions or a label"),
        ("größe.mp4", "without captions or a label"),
    }
    group = "group in two splits: 'g' is in train and validation"
    assert {("a.mp4", group), ("c.mp4", group)} <= wrong(listing)


def test_pairs_of_json_are_labels_in_labels_json(tmp_path: Path) -> None:
    pairs = {"a.mp4": "run", "b.mp4": "walk"}
    files = {f"clips/{name}": name.encode() for name in pairs}
    for name in ("labels.json", "captions.json"):
        found = read_clip_folder(fill(tmp_path / name, {**files, name: pairs})).entries
        assert {e.file: e.label or e.captions[0] for e in found} == pairs
        assert all(bool(entry.label) == (name == "labels.json") for entry in found)


@pytest.mark.parametrize(
    "files, message",
    [
        ({"labels.csv": "file,label\n"}, "no clips in .*looked for clips/, videos/"),
        ({"clips/a.mp4": b""}, "no caption or label file in .*found clips/"),
        (
            {"clips/a.mp4": b"", "labels.csv": "a,b\n"},
            r"line 1: no column file \(name it clip",
        ),
        ({"clips/a.mp4": b"", "labels.csv": 'file,label\na.mp4,"x\n'}, "line 2: "),
        ({"clips/a.mp4": b"", "labels.csv": "file,label\nx.mp4,run\n"}, "none of the 1 clips"),
        ({"clips/a.mp4": b"", "labels.csv": "file,label\na.mp4,run\n"}, r"1 usable clip\(s\)"),
    ],
)
def test_a_missing_layout_is_an_error(tmp_path: Path, files: dict[str, str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        load_annotations("clip-folder", fill(tmp_path, files), {})


@pytest.mark.parametrize(
    "name, table",
    [
        ("labels.csv", "video_name,tag\nrun/1.mp4,run\n2,hop\n3.mp4,run\n"),
        (
            "labels.csv",
            "clip_name,clip_path,label\n1,clips/run/1.mp4,run\n2,2.mp4,hop\n3,3.mp4,run\n",
        ),
        ("labels.csv", "video_id,label\n1,run\n2,hop\n3,run\n"),
        ("labels.csv", "path,label\n/home/me/clips/run/1.mp4,run\nclips/2.mp4,hop\n3.mp4,run\n"),
        ("annotations.csv", "clip_id;class\n1;run\n2;hop\n3;run\n"),
        (
            "labels.jsonl",
            '{"video_id": 1, "label": "run"}\n{"video_id": "2", "label": "hop"}\n'
            '{"video_id": "3", "label": "run"}\n',
        ),
    ],
)
def test_columns_and_names_of_clips(tmp_path: Path, name: str, table: str) -> None:
    fill(tmp_path, {name: table} | media("clips", "run/1.mp4", "2.mp4", "3.mp4"))
    listing = read_clip_folder(tmp_path)
    assert {entry.file: entry.label for entry in listing.entries} == {
        "run/1.mp4": "run",
        "2.mp4": "hop",
        "3.mp4": "run",
    }


@pytest.mark.parametrize("folder", ["", "clips/", "videos/", "actions/"])
@pytest.mark.parametrize("split", ["", "train/"])
def test_a_folder_for_each_class(tmp_path: Path, folder: str, split: str) -> None:
    names = [f"{folder}{split}{label}/{at}.mp4" for label in ("run", "hop") for at in range(30)]
    if split:
        names += [f"{folder}val/run/90.avi", f"{folder}test/hop/91.mkv"]
    for number, name in enumerate(names):
        fill(tmp_path, {name: str(number)})
    listing = load_annotations("clip-folder", tmp_path, {})
    assert len(listing.entries) == len(names)
    assert {entry.label for entry in listing.entries} == {"run", "hop"}
    assert set(by_split(listing)) == {"train", "validation", "test"}
    assert not split or len(by_split(listing)["train"]) == 60


def test_the_formats_of_cameras_and_of_television(tmp_path: Path) -> None:
    names = ["00001.MTS", "b.ts", "c.wmv", "d.flv", "e.m2ts", "f.vob", "g.3gp"]
    rows = "".join(f"{Path(name).stem},run\n" for name in names)
    fill(tmp_path, {"labels.csv": f"clip,label\n{rows}"} | media("clips", *names, "stray.MTS"))
    listing = read_clip_folder(tmp_path)
    assert [entry.file for entry in listing.entries] == names
    assert {file for file, reason in wrong(listing) if reason.startswith("without")} == {
        "stray.MTS"
    }


@pytest.mark.parametrize("third", ["val", "validation", ""])
def test_a_table_for_each_split(tmp_path: Path, third: str) -> None:
    # As in the video classification example of keras.io: an index, video_name and tag.
    for split in filter(None, ("train", third, "test")):
        rows = "".join(f"{at},v_{at}.avi,{('run', 'hop')[at % 2]}\n" for at in range(20))
        fill(tmp_path, {f"{split}.csv": ",video_name,tag\n" + rows})
        fill(tmp_path, {f"{split}/v_{at}.avi": f"{split}{at}" for at in range(20)})
    listing = load_annotations("clip-folder", tmp_path, {})
    assert set(by_split(listing)) == {"train", "validation", "test"}
    for entry in listing.entries:
        folder = entry.file.partition("/")[0]
        assert entry.split in (folder, "validation")
    assert len(listing.entries) == (60 if third else 40) and not listing.problems
