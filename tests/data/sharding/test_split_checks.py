"""Every kind of similar examples is found, and nothing else."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest

from data.annotations.entries import Entry
from data.common.progress import progress
from data.sharding.datasets import load_annotations, preparable
from data.sharding.findings import Finding
from data.sharding.split_checks import (
    Pair,
    copied_findings,
    find_pairs,
    image_findings,
    pair_findings,
    read_images,
)
from tests.support.video_files import write_clip


def colored_blocks(seed: int) -> np.ndarray:
    """Return blocks of color; different seeds give unrelated images."""
    blocks = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return cv2.resize(blocks, (160, 120), interpolation=cv2.INTER_CUBIC)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Twelve unrelated training images, and others with one fault each."""
    (tmp_path / "images").mkdir()

    def write(name: str, pixels: np.ndarray, quality: int = 95) -> None:
        path, options = str(tmp_path / "images" / name), [cv2.IMWRITE_JPEG_QUALITY, quality]
        assert cv2.imwrite(path, pixels, options if name.endswith("jpg") else [])

    rows = []
    for number in range(12):
        write(f"train{number}.jpg", colored_blocks(number))
        rows.append(f"train{number}.jpg,image {number} of many things,train")
    for copy in ("same.jpg", "copy.jpg"):
        first = tmp_path / "images" / ("train0.jpg" if copy == "same.jpg" else "train4.jpg")
        (tmp_path / "images" / copy).write_bytes(first.read_bytes())
    write("smaller.jpg", cv2.resize(colored_blocks(1), (80, 60)))
    write("coarse.jpg", colored_blocks(2), 20)
    write("brighter.jpg", np.clip(colored_blocks(3) * 0.8 + 40, 0, 255).astype(np.uint8))
    write("captions.jpg", colored_blocks(20))
    write("own.jpg", colored_blocks(21))
    write("empty.jpg", np.full((150, 150, 3), 255, np.uint8))
    write("blank.jpg", np.full((160, 150, 3), 250, np.uint8))
    write("small.png", cv2.resize(colored_blocks(22), (40, 30)))
    write("long.png", cv2.resize(colored_blocks(23), (400, 30)))
    rows += [f"{name}.jpg,{name} it is,test" for name in ("same", "smaller", "own", "empty")]
    rows += [f"{name}.jpg,{name} it is,validation" for name in ("coarse", "brighter")]
    rows += ["captions.jpg,Image 5 of many things!,validation", "blank.jpg,blank it is,train"]
    rows += ["copy.jpg,quite another,train", "small.png,small,train", "long.png,long,train"]
    (tmp_path / "captions.csv").write_text("\n".join(["image,caption,split", *rows]) + "\n")
    return tmp_path


def pairs_of(source: Path) -> tuple[Sequence[Entry], list[Pair], list[Finding]]:
    entries = load_annotations("folder", source, {}).entries
    with progress(len(entries), None, disable=True) as bar:
        images = read_images(preparable("folder"), entries, bar)
    return entries, find_pairs(entries, images), list(image_findings(entries, images))


def files(findings: list[Finding]) -> dict[str, list[str]]:
    return {
        finding.name: [entry.file for example in finding.examples for entry in example.entries]
        for finding in findings
    }


def test_each_pair_is_found_once_within_and_across_splits(source: Path) -> None:
    (source / "images" / "train9.jpg").write_bytes(b"not an image")
    _, pairs, images = pairs_of(source)
    assert {(pair.kind, pair.first.file, pair.second.file) for pair in pairs if pair.across} == {
        ("same image", "same.jpg", "train0.jpg"),
        ("near-duplicate", "smaller.jpg", "train1.jpg"),
        ("near-duplicate", "coarse.jpg", "train2.jpg"),
        ("near-duplicate", "brighter.jpg", "train3.jpg"),
        ("same captions", "captions.jpg", "train5.jpg"),
    }
    (inner,) = [pair for pair in pairs if not pair.across]
    assert str(inner) == "same image: train4.jpg (train) and copy.jpg (train)"
    assert len(pairs) == 6
    assert files(images) == {
        "undecodable": ["train9.jpg"],
        "blank": ["empty.jpg", "blank.jpg"],
        "tiny": ["small.png"],
        "narrow": ["long.png"],
    }
    assert images[0].examples[0].text == "train9.jpg: not an image"
    found = list(pair_findings(pairs))
    assert [(each.name, each.warning, len(each.examples)) for each in found] == [
        ("across_splits", True, 1),
        ("across_splits", True, 3),
        ("across_splits", True, 1),
        ("contradictory_captions", True, 5),
        ("within_split", False, 1),
    ]


def test_an_example_of_many_similar_ones_is_in_one_pair_of_its_split() -> None:
    from data.sharding.split_checks import Image

    names = [f"{number}.jpg" for number in range(300)]
    entries = [Entry(name, name, name, (name,), "train") for name in names]
    images: list[Image | str] = [
        Image(b"%d" % number, 7 if number % 3 else 5, (9, 9)) for number in range(300)
    ]
    pairs = find_pairs(entries, images, near=1)
    assert len(pairs) == 299 and {pair.kind for pair in pairs} == {"near-duplicate"}
    assert len(find_pairs(entries, images, near=0)) == 298


def entry(name: str, label: str, split: str, *captions: str, group: str = "") -> Entry:
    return Entry(name, name, "", captions, split, label, group)


def test_equal_texts_with_other_labels_are_contradictory() -> None:
    texts = [
        entry("a:1", "good", "train", "It’s a film."),
        entry("a:2", "bad", "train", "IT'S A FILM"),
        entry("a:3", "good", "test", "a film it's"),
        entry("a:4", "good", "test", "another film"),
    ]
    (labels, within) = pair_findings(find_pairs(texts, [], unit="text"))
    assert (labels.name, labels.warning) == ("contradictory_labels", True)
    (example,) = labels.examples
    assert example.text == "same text: a:1 (train) and a:2 (train); 'good', 'bad'"
    assert (within.name, within.warning) == ("within_split", False)


def test_shared_groups_are_reported_across_splits_only() -> None:
    clips = [
        entry("1.mp4", "", "test", "one", group="s"),
        entry("2.mp4", "", "train", "two", group="s"),
        entry("3.mp4", "", "train", "three", group="t"),
        entry("4.mp4", "", "train", "four", group="t"),
    ]
    (pair,) = find_pairs(clips, [], unit="clip")
    assert str(pair) == "same group: 1.mp4 (test) and 2.mp4 (train): s"


def test_copied_captions_and_missing_translations_are_counted() -> None:
    images = [entry(str(number), "", "train", "A photo.", f"text {number}") for number in range(4)]
    (found,) = copied_findings(images, paired=False)
    assert found.warning and found.values == {"share": 0.5}
    assert found.examples[0].text == "'A photo.', 4 times"
    assert not list(copied_findings(images[:1], paired=False))
    pairs = [entry("1", "", "train", "a dog", "ein Hund"), entry("2", "", "train", "OK", "ok")]
    (found,) = copied_findings(pairs, paired=True)
    assert found.values == {"share": 0.5} and len(found.examples) == 1


def test_clips_with_one_frame_in_common_are_not_the_same_clip(tmp_path: Path) -> None:
    clips = tmp_path / "clips"
    clips.mkdir()
    for name, numbers in (("a", [5, 999, 7]), ("b", [70, 999, 30000]), ("other", [9, 43690, 3])):
        write_clip(clips / f"{name}.avi", numbers)
    shutil.copy(clips / "a.avi", clips / "copy.avi")
    rows = ["a.avi,run,train", "b.avi,jump,train", "other.avi,run,test", "copy.avi,jump,validation"]
    (tmp_path / "labels.csv").write_text("\n".join(["clip,label,split", *rows]) + "\n")
    dataset = preparable("clip-folder")
    entries = load_annotations("clip-folder", tmp_path, dataset.options({})).entries
    with progress(len(entries), None, disable=True) as bar:
        pairs = find_pairs(entries, read_images(dataset, entries, bar), unit="clip")
    kinds = {(pair.first.file, pair.second.file): pair.kind for pair in pairs}
    assert kinds["copy.avi", "a.avi"] == "same clip"
    assert kinds["a.avi", "b.avi"] == "near-duplicate"
