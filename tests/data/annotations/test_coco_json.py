"""COCO's JSON format under other names, for images and clips."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from data.annotations.entries import Annotations
from data.sharding.datasets import load_annotations
from tests.support.source_files import fill, jpeg, media


def coco(numbers: range, *captions: str, **more: Any) -> dict[str, Any]:
    return {
        "images": [{"id": n, "file_name": f"{n}.jpg", "height": 1, "width": 1} for n in numbers],
        "annotations": [
            {"id": 100 * n + k, "image_id": n, "caption": f"{caption} {n}"}
            for n in numbers
            for k, caption in enumerate(captions)
        ],
        **more,
    }


def images(source: Path, folder: str, numbers: range) -> None:
    fill(source, {f"{folder}/{n}.jpg": jpeg(n) for n in numbers})


def load(source: Path, name: str = "folder") -> Annotations:
    return load_annotations(name, source, {})


def test_an_export_of_ones_own_is_read_and_divided(tmp_path: Path) -> None:
    images(tmp_path, "images", range(20))
    found = load(fill(tmp_path, {"my export.json": coco(range(20), "a dog", "it runs")}))
    assert {e.file: e.captions for e in found.entries}["3.jpg"] == ("a dog 3", "it runs 3")
    assert Counter(e.split for e in found.entries) == {"train": 16, "validation": 2, "test": 2}


def test_captions_may_stand_in_the_images_as_karpathy_writes_them(tmp_path: Path) -> None:
    images(tmp_path, "images", range(3))
    listed = [
        {"imgid": n, "filename": f"{n}.jpg", "split": split, "sentences": [
            {"imgid": n, "raw": f"a dog {n}", "tokens": ["a"]}, {"imgid": n, "raw": "it runs"}]}
        for n, split in enumerate(("restval", "val", "test"))
    ]  # fmt: skip
    found = load(fill(tmp_path, {"own.json": {"images": listed, "dataset": "own"}}))
    for each in listed:
        del each["imgid"]
        each["coco_url"] = f"http://images.example.org/x/{each.pop('filename')}"
    assert load(fill(tmp_path, {"own.json": {"images": listed}})).entries == found.entries
    assert {entry.split: entry.captions for entry in found.entries} == {
        split: (f"a dog {n}", "it runs") for n, split in enumerate(("train", "validation", "test"))
    }


def test_vizwiz_has_splits_rejected_captions_and_a_test_split_without_any(tmp_path: Path) -> None:
    train = coco(range(20), "a dog")
    train["annotations"].append(
        {"id": 7, "image_id": 0, "caption": "Quality issues", "is_rejected": True}
    )
    test = coco(range(30, 32))
    del test["annotations"]
    val = coco(range(20, 24), "a cat")
    for name, content in (("train", train), ("val", val), ("test", test)):
        fill(tmp_path, {f"annotations/{name}.json": content})
    for folder, numbers in (("train", range(20)), ("val", range(20, 24)), ("test", range(30, 32))):
        images(tmp_path, folder, numbers)
    found = load(tmp_path)
    splits = {entry.captions[0]: entry.split for entry in found.entries}
    assert splits["a cat 20"] == "validation" and len(splits) == 24
    assert {entry.captions for entry in found.entries if entry.image_id.endswith("/0.jpg")} == {
        ("a dog 0",)
    }
    reasons = {problem.file: problem.reason for problem in found.problems if not problem.bad}
    assert reasons["test.json"] == "no captions: its 2 images or clips are left out"
    assert "caption rejected by its corpus" in reasons.values()


def test_stair_captions_are_japanese(tmp_path: Path) -> None:
    images(tmp_path, "images", range(12))
    files = {
        "stair_captions_v1.2_train.json": coco(range(10), "犬が走る"),
        "stair_captions_v1.2_val.json": coco(range(10, 12), "猫"),
    }
    found = load(fill(tmp_path, files))
    assert Counter(e.split for e in found.entries) == {"train": 10, "validation": 2}


def test_clips_may_be_listed_as_videos(tmp_path: Path) -> None:
    content = {
        "videos": [
            {"id": n, "file_name": f"{n}.mp4", "split": "train" if n else "val"} for n in range(3)
        ],
        "annotations": [{"id": n, "video_id": n, "caption": f"a clip {n}"} for n in range(3)],
    }
    fill(tmp_path, {"clips.json": content} | media("clips", "0.mp4", "1.mp4", "2.mp4"))
    found = load(tmp_path, "clip-folder")
    assert {e.file: (e.captions, e.split) for e in found.entries} == {
        "0.mp4": (("a clip 0",), "validation"),
        "1.mp4": (("a clip 1",), "train"),
        "2.mp4": (("a clip 2",), "train"),
    }


def test_unusable_records_are_named(tmp_path: Path) -> None:
    content = coco(range(12), "a dog")
    content["images"].append({"id": 99})
    content["annotations"] += [{"image_id": 1}, {"image_id": 55, "caption": "nowhere"}]
    images(tmp_path, "images", range(12))
    found = load(fill(tmp_path, {"a.json": content}))
    reasons = {problem.reason.partition(":")[0] for problem in found.problems}
    assert reasons == {"no file_name or id", "no caption", "missing"}
