"""Every kind of overlap between splits is found, and nothing else."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from data.sharding.datasets import load_annotations
from data.sharding.split_checks import find_leaks
from pipelines.cli.main import run


def colored_blocks(seed: int) -> np.ndarray:
    """Return blocks of color; different seeds give unrelated images."""
    blocks = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return cv2.resize(blocks, (160, 120), interpolation=cv2.INTER_CUBIC)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Twelve unrelated training images, and six others with one overlap each."""
    (tmp_path / "images").mkdir()

    def write(name: str, pixels: np.ndarray, quality: int = 95) -> None:
        path = str(tmp_path / "images" / name)
        assert cv2.imwrite(path, pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])

    rows = []
    for number in range(12):
        write(f"train{number}.jpg", colored_blocks(number))
        rows.append(f"train{number}.jpg,image {number} of many things,train")
    (tmp_path / "images" / "same.jpg").write_bytes(
        (tmp_path / "images" / "train0.jpg").read_bytes()
    )
    write("smaller.jpg", cv2.resize(colored_blocks(1), (80, 60)))
    write("coarse.jpg", colored_blocks(2), 20)
    write("brighter.jpg", np.clip(colored_blocks(3) * 0.8 + 40, 0, 255).astype(np.uint8))
    write("captions.jpg", colored_blocks(20))
    write("own.jpg", colored_blocks(21))
    write("empty.jpg", np.full((50, 50, 3), 255, np.uint8))
    write("blank.jpg", np.full((60, 50, 3), 250, np.uint8))
    rows += [f"{name}.jpg,{name} it is,test" for name in ("same", "smaller", "own", "empty")]
    rows += [f"{name}.jpg,{name} it is,validation" for name in ("coarse", "brighter")]
    rows += ["captions.jpg,image 5 of many things,validation", "blank.jpg,blank it is,train"]
    (tmp_path / "captions.csv").write_text("\n".join(["image,caption,split", *rows]) + "\n")
    return tmp_path


def test_each_overlap_is_found_once(source: Path) -> None:
    entries = load_annotations("folder", source, {}).entries
    found, unreadable = find_leaks(entries)
    assert unreadable == []
    assert {(leak.kind, leak.first.file, leak.second.file) for leak in found} == {
        ("same file", "same.jpg", "train0.jpg"),
        ("near duplicate", "smaller.jpg", "train1.jpg"),
        ("near duplicate", "coarse.jpg", "train2.jpg"),
        ("near duplicate", "brighter.jpg", "train3.jpg"),
        ("same captions", "captions.jpg", "train5.jpg"),
    }
    assert len(found) == 5


def test_shared_groups_and_unreadable_files_are_reported(source: Path) -> None:
    entries = list(load_annotations("folder", source, {}).entries)
    numbers = {entry.file: number for number, entry in enumerate(entries)}
    for name in ("own.jpg", "train7.jpg"):
        entries[numbers[name]] = entries[numbers[name]]._replace(group="one scene")
    (source / "images" / "train9.jpg").write_bytes(b"not an image")
    found, unreadable = find_leaks(entries)
    assert "same group: own.jpg (test) and train7.jpg (train): one scene" in map(str, found)
    assert [entry.file for entry in unreadable] == ["train9.jpg"]


def test_the_command_prints_the_pairs_and_writes_a_page(
    source: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (source / "images" / "train9.jpg").write_bytes(b"not an image")
    sheet = tmp_path / "sheet.html"
    words = ["check-splits", "folder", "--source", str(source), "--out", str(sheet)]
    assert run(words) == 1
    printed = capfd.readouterr().out
    assert "5 pairs across splits: 1 same file, 3 near duplicate, 1 same captions" in printed
    assert "1 images could not be read or compared: train9.jpg\n" in printed
    assert "same file: same.jpg (test) and train0.jpg (train)" in printed
    page = sheet.read_text(encoding="utf-8")
    assert page.count("<img") == 10
    assert "captions.jpg – train5.jpg" in page
