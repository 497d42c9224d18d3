"""Layouts of clips: each is read, and its problems are reported."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from data.annotations.entries import Annotations
from data.common.errors import UserError
from data.sharding.datasets import load_annotations
from data.video.captioned import read_grid, read_msrvtt, read_msvd, read_vatex
from data.video.corpora import (
    read_fight_surveillance,
    read_hmdb51,
    read_kinetics,
    read_something,
    read_ucf101,
)
from tests.support.source_files import by_split, captions, fill, media


def labels(listing: Annotations) -> dict[str, str]:
    return {entry.image_id: entry.label for entry in listing.entries}


def wrong(listing: Annotations) -> set[tuple[str, str]]:
    return {(problem.file, problem.reason) for problem in listing.problems}


@pytest.mark.parametrize("lists", ["", "ucfTrainTestlist/"])
def test_ucf101(tmp_path: Path, lists: str) -> None:
    # The spelling of one class varies, in the archive and in the lists.
    start = "HandstandPushups/v_HandStandPushups_g"
    train = [f"{start}{g:02d}_c{c:02d}.avi" for g in range(8, 26) for c in (1, 2)]
    test = [f"{start}01_c01.avi", f"{start}02_c01.avi"]
    files = {
        f"{lists}classInd.txt": "37 HandstandPushups\r\n",
        f"{lists}trainlist01.txt": "".join(f"{name} 37\r\n" for name in train),
        f"{lists}testlist01.txt": "\n".join(test),
    }
    fill(tmp_path, files | media("UCF-101", *train, *test))
    listing = read_ucf101(tmp_path)
    splits = by_split(listing)
    assert sorted(splits["test"]) == test
    assert sorted(splits["train"] + splits["validation"]) == train
    groups = {split: {name[-11:-8] for name in splits[split]} for split in splits}
    assert not groups["train"] & groups["validation"]
    assert set(labels(listing).values()) == {"HandstandPushups"} and listing.problems == ()
    other = {f"{lists}trainlist02.txt": "\n".join(train[2:] + test[:1])}
    fill(tmp_path, other | {f"{lists}testlist02.txt": train[0]})
    assert by_split(load_annotations("ucf101", tmp_path, {"fold": 2}))["test"] == train[:1]
    with pytest.raises(UserError, match=r"looked for trainlist03\.txt"):
        load_annotations("ucf101", tmp_path, {"fold": 3})


def test_hmdb51(tmp_path: Path) -> None:
    films = [f"#{film}_Rhythm" for film in range(12)]
    names = [f"{film}_wave_u_cm_np1_fr_med_{clip}" for film in films for clip in (0, 1)]
    marks = [1] * 20 + [2, 2, 0, 0]
    content = "".join(f"{name}.avi {mark} \n" for name, mark in zip(names, marks, strict=True))
    fill(tmp_path, {"testTrainMulti_7030_splits/wave_test_split1.txt": content})
    fill(tmp_path, media("hmdb51_org/wave", *(f"{name}.avi" for name in names)))
    listing = read_hmdb51(tmp_path)
    splits = by_split(listing)
    assert splits["test"] == [f"wave/{name}.avi" for name in names[20:22]]
    groups = {split: {name.split("_")[0] for name in splits[split]} for split in splits}
    assert not groups["train"] & groups["validation"]
    assert len(splits["train"]) + len(splits["validation"]) == 20
    # Clips that a list marks 0 are not a problem.
    assert listing.problems == () and "2 clips are in no split list" in listing.notes[0]


@pytest.mark.parametrize("folder", ["", "annotations/"])
def test_kinetics(tmp_path: Path, folder: str) -> None:
    header = "label,youtube_id,time_start,time_end,split\n"
    train = ',is_cc\n"air drumming",abc,7,17,train,0\n"air drumming",new,1,11,train,0\n'
    fill(tmp_path, {f"{folder}train.csv": header.strip() + train})
    rows = "air drumming,def,0,10,validate\nbroken,row\n"
    fill(tmp_path, {f"{folder}validate.csv": header + rows})
    fill(tmp_path, {f"{folder}test.csv": header.removeprefix("label,") + "xyz,0,10,test\n"})
    names = ["train/air drumming/abc_000007_000017.mp4", "val/def.mp4"]
    fill(tmp_path, media(".", *names))
    listing = read_kinetics(tmp_path)
    assert by_split(listing) == {
        "train": ["abc_000007_000017"],
        "validation": ["def_000000_000010"],
    }
    assert set(labels(listing).values()) == {"air drumming"}
    assert listing.notes == ("1 clips are in no split list: left out",)
    assert {file for file, _ in wrong(listing)} == {"new_000001_000011.mp4", "validate.csv:3"}


@pytest.mark.parametrize("start, end", [("7", "17"), ("7.0", "17.0"), ("7s", "17s")])
@pytest.mark.parametrize("name", ["abc_000007_000017", "abc_7_17", "abc"])
def test_the_times_of_kinetics(tmp_path: Path, start: str, end: str, name: str) -> None:
    header = "label,youtube_id,time_start,time_end,split\n"
    fill(tmp_path, {"train.csv": f"{header}dancing,abc,{start},{end},train\n"})
    listing = read_kinetics(fill(tmp_path, media("train/dancing", f"{name}.mp4")))
    assert by_split(listing) == {"train": ["abc_000007_000017"]} and listing.problems == ()


def test_something_something(tmp_path: Path) -> None:
    def clip(number: int, thing: str) -> dict[str, object]:
        template = "Holding [something] next to [something]"
        return {"id": str(number), "label": f"holding {thing} next to a cup", "template": template,
                "placeholders": [thing, "a cup"]}  # fmt: skip

    start = "labels/something-something-v2"
    fill(tmp_path, {f"{start}-train.json": [clip(1, "a pen"), clip(2, "a box")]})
    fill(tmp_path, {f"{start}-validation.json": [clip(3, "a key")], f"{start}-test.json": []})
    fill(tmp_path, {"labels/test-answers.csv": "4;Holding something next to something\n"})
    clips = media("20bn-something-something-v2", *(f"{number}.webm" for number in range(1, 5)))
    listing = read_something(fill(tmp_path, clips))
    splits = {entry.path.stem: entry.split for entry in listing.entries}
    assert splits == {"1": "train", "2": "train", "3": "validation", "4": "test"}
    assert set(labels(listing).values()) == {"Holding something next to something"}
    assert captions(listing)["2"] == ("holding a box next to a cup",) and listing.problems == ()
    fill(tmp_path, {f"{start}-train.json": [{"id": "1", "label": "holding a pen"}]})
    with pytest.raises(
        UserError, match=r"train\.json: no key 'template' .*found keys 'id', 'label'"
    ):
        read_something(tmp_path)


def test_validation_has_every_class(tmp_path: Path) -> None:
    # As in UCF101: 101 classes of 18 training groups with 4 to 7 clips each.
    train = [
        f"Class{label:03d}/v_Class{label:03d}_g{group:02d}_c{clip:02d}.avi"
        for label in range(101)
        for group in range(8, 26)
        for clip in range(1, 5 + (label + group) % 4)
    ]
    test = [f"Class{label:03d}/v_Class{label:03d}_g01_c01.avi" for label in range(101)]
    lists = {"trainlist01.txt": "\n".join(train), "testlist01.txt": "\n".join(test)}
    listing = read_ucf101(fill(tmp_path, lists | media("UCF-101", *train, *test)))
    found = {split: Counter(e.label for e in listing.entries if e.split == split)
             for split in ("train", "validation", "test")}  # fmt: skip
    assert all(len(counts) == 101 for counts in found.values())
    shares = [n / (n + found["train"][label]) for label, n in found["validation"].items()]
    assert min(shares) > 0.05 and max(shares) < 0.16
    pairs = {(entry.group, entry.split) for entry in listing.entries}
    assert len(pairs) == len({group for group, _ in pairs})


def test_the_error_for_another_layout_names_the_file(tmp_path: Path) -> None:
    fill(tmp_path, media("videos", "a.mp4") | {"clips.csv": "a,b\n", "sentences.csv": "x\n"})
    fill(tmp_path, {"videodatainfo.json": [1], "youtube_mapping.txt": "", "train.csv": "a,b\n"})
    fill(tmp_path, {"vatex_training_v1.0.json": "{", "video_corpus.csv": "a,b\n"})
    fill(tmp_path, {"trainlist01.txt": "nonsense", "wave_test_split1.txt": "nonsense"})
    readers = [read_grid, read_fight_surveillance, read_ucf101, read_hmdb51, read_msrvtt]
    for read in [*readers, read_msvd, read_vatex, read_kinetics]:
        with pytest.raises(UserError, match=r"\.csv|\.json|\.txt"):
            read(tmp_path)
    for read in [*readers, read_msvd, read_vatex, read_kinetics]:
        (tmp_path / "empty").mkdir(exist_ok=True)
        with pytest.raises(UserError, match="looked for"):
            read(tmp_path / "empty")


def test_real_clips(shared_data: Path) -> None:
    grid = read_grid(shared_data / "grid_s1")
    assert Counter(entry.split for entry in grid.entries) == {"train": 750, "validation": 100}
    assert {entry.label for entry in grid.entries} == {"bin", "lay", "place", "set"}
    assert grid.problems == ()
    fights = read_fight_surveillance(shared_data / "fight_surveillance")
    assert Counter(entry.label for entry in fights.entries) == {"fight": 115, "noFight": 125}
    assert not [problem for problem in fights.problems if problem.bad]
    scenes: dict[str, set[str]] = {}
    for entry in fights.entries:
        scenes.setdefault(entry.group, set()).add(entry.split)
    assert all(len(splits) == 1 for splits in scenes.values())
