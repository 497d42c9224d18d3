"""Corpora of clips with captions, as they are distributed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from data.annotations.entries import Annotations
from data.common.errors import UserError
from data.sharding.datasets import load_annotations
from data.video.captioned import (
    read_activitynet,
    read_charades,
    read_grid,
    read_msrvtt,
    read_msvd,
    read_vatex,
)
from tests.support.source_files import by_split, captions, fill, media


def labels(listing: Annotations) -> dict[str, str]:
    return {entry.image_id: entry.label for entry in listing.entries}


def test_grid(tmp_path: Path) -> None:
    table = "bbaf2n,dev,bin blue at f two now,75,x\nlwae1s,train,lay white at e one soon,75,x\n"
    table = "id,split,sentence,frames,alignment_in_frames\n" + table
    fill(tmp_path, {"sentences.csv": table} | media("videos", "bbaf2n.mp4", "lwae1s.mpg"))
    listing = read_grid(tmp_path)
    assert by_split(listing) == {"validation": ["bbaf2n.mp4"], "train": ["lwae1s.mpg"]}
    assert captions(listing)["bbaf2n.mp4"] == ("bin blue at f two now",)
    assert labels(listing) == {"bbaf2n.mp4": "bin", "lwae1s.mpg": "lay"}


@pytest.mark.parametrize("whole", [True, False])
def test_msrvtt(tmp_path: Path, whole: bool) -> None:
    def content(*splits: str) -> dict[str, object]:
        numbers = [("train", "validate", "test").index(split) for split in splits]
        return {
            "info": {"year": "2016", "version": "1.0"},
            "videos": [
                {
                    "category": 9,
                    "url": f"https://www.youtube.com/watch?v={number}",
                    "video_id": f"video{number}",
                    "start time": 137.72,
                    "end time": 149.44,
                    "split": split,
                    "id": number,
                }
                for number, split in zip(numbers, splits, strict=True)
            ],
            "sentences": [
                {"caption": f"caption {at}", "video_id": f"video{number}", "sen_id": at}
                for number in numbers
                for at in (number, number + 3)
            ],
        }

    if whole:
        fill(tmp_path, {"videodatainfo.json": content("train", "validate", "test")})
    else:
        fill(tmp_path, {"train_val_videodatainfo.json": content("train", "validate")})
        fill(tmp_path, {"test_videodatainfo.json": content("test")})
    fill(tmp_path, media("TrainValVideo", "video0.mp4", "video1.mp4"))
    fill(tmp_path, media("TestVideo", "video2.mp4"))
    listing = read_msrvtt(tmp_path)
    assert by_split(listing) == {
        "train": ["video0"],
        "validation": ["video1"],
        "test": ["video2"],
    }
    assert captions(listing)["video0"] == ("caption 0", "caption 3")


@pytest.mark.parametrize("kind", ["text", "csv"])
def test_msvd(tmp_path: Path, kind: str) -> None:
    names = [f"-vid{at:07d}_{at}_{at + 9}" for at in range(1301)]
    text = "# a comment\n" + "".join(f"{name} a man number {name}\n" for name in names)
    header = "VideoID,Start,End,WorkerID,Source,AnnotationTime,Language,Description\n"
    cells = [name.rsplit("_", 2) for name in names]
    table = header + "".join(f"{v},{s},{e},1,clean,9,English,a man\n" for v, s, e in cells)
    table += f"{cells[0][0]},{cells[0][1]},{cells[0][2]},1,clean,9,German,ein Mann\n"
    mapping = "".join(f"{name} vid{at + 1}\n" for at, name in enumerate(names))
    files = {"AllVideoDescriptions.txt": text}
    if kind == "csv":
        files = {"MSR Video Description Corpus.csv": table}
    fill(tmp_path, files | {"youtube_mapping.txt": mapping})
    fill(tmp_path, media("YouTubeClips", *(f"{name}.avi" for name in names)))
    listing = read_msvd(tmp_path)
    counts = Counter(entry.split for entry in listing.entries)
    assert counts == {"train": 1200, "validation": 100, "test": 1}
    assert listing.problems == ()
    assert len(captions(listing)[names[0]]) == 1


def test_vatex(tmp_path: Path) -> None:
    def video(name: str) -> dict[str, object]:
        return {"videoID": name, "enCap": ["A man sings.", "A song."], "chCap": ["一个男人"]}

    first, second, third = "Ptf_2VRj-V0_000122_000132", "x" * 11 + "_0_10", "y" * 11 + "_0_10"
    fill(tmp_path, {"vatex_training_v1.0.json": [video(first), video(third)]})
    fill(tmp_path, {"vatex_validation_v1.0.json": [video(second)]})
    last, secret = "z" * 11 + "_000000_000010", "w" * 11 + "_000000_000010"
    test = {"videoID": last, "enCap": ["Rain falls."]}
    fill(tmp_path, {"vatex_public_test_english_v1.1.json": [test]})
    fill(tmp_path, {"vatex_private_test_without_annotations.json": [{"videoID": secret}]})
    fill(tmp_path, media("videos", *(f"{name}.mp4" for name in (first, last, secret))))
    fill(tmp_path, media("videos", f"{second}.webm"))
    listing = read_vatex(tmp_path)
    assert by_split(listing) == {"train": [first], "validation": [second], "test": [last]}
    assert captions(listing)[first] == ("A man sings.", "A song.")
    assert [(each.file, each.reason) for each in listing.problems] == [(f"{third}.mp4", "missing")]


@pytest.mark.parametrize("number", ["vidN", "title"])
@pytest.mark.parametrize("order", ["sorted", "cut"])
def test_msvd_is_split_by_the_number_of_a_clip(tmp_path: Path, number: str, order: str) -> None:
    # The mapping is sorted, or has only the clips at hand: lines say nothing about the split.
    names = {f"{at * 7919 % 1971:04d}abcdefg_{at}_{at + 9}": at for at in range(1, 1971)}
    kept = {name: at for name, at in names.items() if order == "sorted" or at % 5 == 0}
    fill(tmp_path, {"AllVideoDescriptions.txt": "".join(f"{name} a man sings\n" for name in kept)})
    mapping = "".join(f"{name} vid{at}\n" for name, at in sorted(kept.items()))
    fill(tmp_path, {"youtube_mapping.txt": mapping})
    files = [f"vid{at}.avi" if number == "vidN" else f"{name}.avi" for name, at in kept.items()]
    listing = read_msvd(fill(tmp_path, media("YouTubeClips", *files)))
    assert len(listing.entries) == len(kept) and listing.problems == ()
    for entry in listing.entries:
        at = kept[entry.image_id]
        assert entry.split == ("train" if at <= 1200 else "validation" if at <= 1300 else "test")


def test_msvd_has_further_languages(tmp_path: Path) -> None:
    header = "VideoID,Start,End,WorkerID,Source,AnnotationTime,Language,Description\n"
    rows = [
        f"v{at},0,9,1,clean,9,{language},{text}\n"
        for at in range(1, 1302, 100)
        for language, text in (("English", "a man sings"), ("German", "ein Mann singt"))
        if language == "English" or at != 501
    ]
    mapping = "".join(f"v{at}_0_9 vid{at}\n" for at in range(1, 1302, 100))
    fill(tmp_path, {"video_corpus.csv": header + "".join(rows), "youtube_mapping.txt": mapping})
    fill(tmp_path, media("videos", *(f"vid{at}.mp4" for at in range(1, 1302, 100))))
    for language in ("de", "German", "german"):
        listing = load_annotations("msvd", tmp_path, {"language": language})
        assert set(captions(listing).values()) == {("ein Mann singt",)}
        assert "1 clips are in no split list: left out" in listing.notes
        assert listing.problems == ()
    assert set(captions(load_annotations("msvd", tmp_path, {})).values()) == {("a man sings",)}
    with pytest.raises(UserError, match=r"video_corpus\.csv: no description in fr"):
        read_msvd(tmp_path, "fr")
    (tmp_path / "youtube_mapping.txt").unlink()
    with pytest.raises(
        UserError, match=r"no list of clip names .* looked for youtube_mapping\.txt"
    ):
        read_msvd(tmp_path)


def test_a_line_of_the_mapping_without_a_number_is_reported(tmp_path: Path) -> None:
    fill(tmp_path, {"AllVideoDescriptions.txt": "a_0_9 a man\n", "youtube_mapping.txt": "a_0_9\n"})
    with pytest.raises(UserError, match=r"youtube_mapping\.txt, line 1: not '.* vid1'"):
        read_msvd(fill(tmp_path, media("YouTubeClips", "a_0_9.avi")))


ALIGN = "0 23750 sil\n23750 29500 {}\n29500 34000 blue\n34000 74500 sp\n50000 74500 now\n"


@pytest.mark.parametrize("layout", ["{s}/align/{n}", "alignments/{s}/{n}", "align/{n}"])
@pytest.mark.parametrize("clip", ["{s}/{n}", "{s}/video/mpg_6000/{n}", "video/{s}_processed/{n}"])
def test_grid_as_distributed(tmp_path: Path, layout: str, clip: str) -> None:
    files: dict[str, Any] = {}
    for speaker in range(1, 35):
        for name, verb in (("bbaf2n", "bin"), (f"lwae{speaker}s", "lay")):
            files[clip.format(s=f"s{speaker}", n=name) + ".mpg"] = b"clip"
            files[layout.format(s=f"s{speaker}", n=name) + ".align"] = ALIGN.format(verb)
    listing = read_grid(fill(tmp_path, files))
    assert len({entry.image_id for entry in listing.entries}) == 68 and listing.problems == ()
    assert set(captions(listing).values()) == {("bin blue now",), ("lay blue now",)}
    assert set(labels(listing).values()) == {"bin", "lay"}
    assert {entry.group for entry in listing.entries} == {f"s{number}" for number in range(1, 35)}


def test_grid_of_one_speaker_has_all_splits(tmp_path: Path) -> None:
    for at in range(40):
        fill(tmp_path, {f"s1/clip{at}.mpg": str(at), f"align/clip{at}.align": ALIGN.format("set")})
    fill(tmp_path, {"s1/silent.mpg": b"x", "align/gone.align": ALIGN.format("bin")})
    listing = load_annotations("grid", tmp_path, {})
    assert set(by_split(listing)) == {"train", "validation", "test"}
    assert "fewer than three speakers: the splits share them" in listing.notes
    assert [problem.file for problem in listing.problems if problem.bad] == ["s1/silent.mpg"]


def msrvtt(numbers: Mapping[int, str | None], *, coco: bool = False) -> dict[str, object]:
    if coco:
        return {
            "images": [{"id": f"video{at}"} for at in numbers],
            "annotations": [
                {"image_id": f"video{at}", "caption": "a man", "id": at} for at in numbers
            ],
        }
    return {
        "videos": [
            {"video_id": f"video{at}"} | ({"split": split} if split else {})
            for at, split in numbers.items()
        ],
        "sentences": [
            {"video_id": f"video{at}", "caption": "a man", "sen_id": at} for at in numbers
        ],
    }


OFFICIAL = {
    0: "train",
    6512: "train",
    6513: "validate",
    7009: "validate",
    7010: "test",
    9999: "test",
}
EXPECTED = {
    "train": ["video0", "video6512"],
    "validation": ["video6513", "video7009"],
    "test": ["video7010", "video9999"],
}


@pytest.mark.parametrize(
    "name, content",
    [
        ("videodatainfo_2016.json", msrvtt(OFFICIAL)),
        ("videodatainfo_2017_ustc.json", msrvtt(OFFICIAL)),
        ("MSRVTT_data.json", msrvtt(dict.fromkeys(OFFICIAL))),
        ("annotation/MSR_VTT.json", msrvtt(dict.fromkeys(OFFICIAL), coco=True)),
    ],
)
def test_msrvtt_in_its_variants(tmp_path: Path, name: str, content: dict[str, object]) -> None:
    fill(tmp_path, {name: content} | media("videos/all", *(f"video{at}.mp4" for at in OFFICIAL)))
    assert by_split(read_msrvtt(tmp_path)) == EXPECTED


def test_msrvtt_without_the_test_captions(tmp_path: Path) -> None:
    both = {at: split for at, split in OFFICIAL.items() if split != "test"}
    fill(
        tmp_path,
        {"train_val_videodatainfo.json": msrvtt(both)}
        | media("TrainValVideo", *(f"video{at}.mp4" for at in both)),
    )
    expected = {split: names for split, names in EXPECTED.items() if split != "test"}
    assert by_split(read_msrvtt(tmp_path)) == expected
    test = {"videos": [{"video_id": "video7010", "split": "test"}]}
    fill(tmp_path, {"test_videodatainfo.json": test})
    listing = read_msrvtt(tmp_path)
    assert by_split(listing) == expected
    assert "test_videodatainfo.json has no sentences of 1 clips: left out" in listing.notes


@pytest.mark.parametrize("with_train", [True, False])
def test_msrvtt_1k_a(tmp_path: Path, with_train: bool) -> None:
    content = msrvtt(OFFICIAL | dict.fromkeys(range(100, 160), "train"))
    lines = "key,vid_key,video_id,sentence\nret0,msr7010,video7010,a man\n"
    fill(tmp_path, {"MSRVTT_data.json": content, "MSRVTT_JSFUSION_test.csv": lines})
    if with_train:
        rows = "".join(f"video{at}\n" for at in [0, 6513, 9999, *range(100, 160)])
        fill(tmp_path, {"MSRVTT_train.9k.csv": "video_id\n" + rows})
    names = [f"video{at}.mp4" for at in [*OFFICIAL, *range(100, 160)]]
    listing = read_msrvtt(fill(tmp_path, media("videos", *names)))
    splits = by_split(listing)
    assert splits["test"] == ["video7010"]
    learned = {*splits["train"], *splits["validation"]}
    assert {"video0", "video6513", "video9999"} <= learned and splits["validation"]
    assert ("video7009" in learned) is not with_train
    assert "splits of 1k-A: MSRVTT_JSFUSION_test.csv" in listing.notes


@pytest.mark.parametrize(
    "content, message",
    [
        ({"videos": []}, "no key 'sentences' where it is expected: found keys 'videos'"),
        ({"clips": []}, "no key 'videos' where it is expected: found keys 'clips'"),
        ([1], r"no key 'videos' where it is expected: found \[1\]"),
        ({"videos": [], "sentences": [{"caption": "a"}]}, "no key 'video_id'"),
        ({"videos": 3, "sentences": []}, "'videos' is not a list: 3"),
        ({"videos": [], "sentences": [{"video_id": "a", "caption": 1}]}, "'caption' is not a str"),
    ],
)
def test_a_missing_key_is_named(tmp_path: Path, content: object, message: str) -> None:
    fill(tmp_path, {"videodatainfo.json": content} | media("videos", "a.mp4"))
    with pytest.raises(UserError, match=rf"videodatainfo\.json: {message}"):
        read_msrvtt(tmp_path)


def test_vatex_by_id_and_in_chinese(tmp_path: Path) -> None:
    ids = [f"{letter * 11}_000{at}22_000{at}32" for at, letter in enumerate("abcd")]
    videos = [{"videoID": name, "enCap": ["A man."], "chCap": ["一个男人"]} for name in ids]
    fill(tmp_path, {"vatex_training_v1.0.json": videos[:3]})
    fill(tmp_path, {"vatex_validation_v1.0.json": videos[3:]})
    fill(tmp_path, {"vatex_public_test_english_v1.1.json": [{"videoID": "e" * 11, "enCap": []}]})
    names = ["a" * 11, f"{'b' * 11}_122_132", ids[2], "d" * 11]
    fill(tmp_path, media("videos", *(f"{name}.mp4" for name in names)))
    listing = load_annotations("vatex", tmp_path, {"language": "zh"})
    assert by_split(listing) == {"train": ids[:3], "validation": ids[3:]}
    assert set(captions(listing).values()) == {("一个男人",)} and listing.problems == ()
    assert "vatex_public_test_english_v1.1.json has no 'chCap': no test split" in listing.notes
    assert set(captions(read_vatex(tmp_path)).values()) == {("A man.",)}
    with pytest.raises(UserError, match="--language of vatex is en or zh, not de"):
        read_vatex(tmp_path, "de")
    fill(tmp_path, {"vatex_validation_v1.0.json": [{"enCap": ["A man."]}]})
    with pytest.raises(UserError, match=r"vatex_validation_v1\.0\.json: no key 'videoID'"):
        read_vatex(tmp_path)


def test_activitynet_captions(tmp_path: Path) -> None:
    def video(*times: list[float]) -> dict[str, object]:
        return {"duration": 82.7, "timestamps": times, "sentences": [f"At {t[0]}." for t in times]}

    fill(tmp_path, {"train.json": {"v_a": video([0.28, 55.15], [13.79, 54.32]), "v_b": video()}})
    fill(tmp_path, {"val_1.json": {"v_c": video([0, 5])}, "val_2.json": {"v_c": video([9, 3])}})
    listing = read_activitynet(fill(tmp_path, media("videos", "v_a.mp4", "v_c.mkv")))
    assert captions(listing) == {
        "v_a.mp4#t=0.28,55.15": ("At 0.28.",),
        "v_a.mp4#t=13.79,54.32": ("At 13.79.",),
        "v_c.mkv#t=0,5": ("At 0.",),
    }
    assert [entry.group for entry in listing.entries] == ["v_a", "v_a", "v_c"]
    reasons = [problem.reason for problem in listing.problems]
    assert reasons == ["not a part of a clip, in seconds: [9, 3]"]


def test_charades(tmp_path: Path) -> None:
    header = "id,subject,scene,quality,script,objects,descriptions,actions,length\n"
    rows = [
        f'C{at:03d},S{at % 20},Kitchen,6,"A script, long.",food,A person cooks.;Someone eats {at}.,'
        f"c092 11.90 21.20;c147 0.00 12.60,24.83\n"
        for at in range(100)
    ]
    fill(tmp_path, {"Charades_v1_train.csv": header + "".join(rows[:90])})
    fill(tmp_path, {"Charades_v1_test.csv": header + "".join(rows[90:])})
    names = [f"C{at:03d}.mp4" for at in range(100)]
    listing = read_charades(fill(tmp_path, media("Charades_v1_480", *names)))
    splits = by_split(listing)
    assert splits["test"] == [f"C{at:03d}" for at in range(90, 100)]
    assert captions(listing)["C007"] == ("A person cooks.", "Someone eats 7.")
    pairs = {(entry.group, entry.split) for entry in listing.entries if entry.split != "test"}
    assert splits["validation"] and len(pairs) == len({group for group, _ in pairs})
    assert listing.problems == ()
