"""Automatic splits of images and clips: by content, similar ones together."""

from __future__ import annotations

import io
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from data.annotations.entries import Entry
from data.common.errors import UserError
from data.images.datasets import IMAGE_DATASETS
from data.media import similarity
from data.storage.dataset_info import find_dataset


def picture(seed: int, side: int = 64, quality: int = 90) -> bytes:
    """Return a JPEG with a pattern of its own, in any size."""
    blocks = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), np.uint8)
    buffer = io.BytesIO()
    image = Image.fromarray(blocks).resize((side, side), Image.Resampling.BICUBIC)
    image.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def write(source: Path, images: dict[str, bytes], name: str = "folder") -> Path:
    (source / "images").mkdir(parents=True, exist_ok=True)
    for file, data in images.items():
        (source / "images" / file).write_bytes(data)
    column = "caption" if name == "folder" else "label"
    rows = [f"{file},{'ab'[len(data) % 2]}" for file, data in sorted(images.items())]
    table = source / ("captions.csv" if name == "folder" else "labels.csv")
    table.write_text("\n".join([f"image,{column}", *rows]) + "\n")
    return source


def splits(source: Path, name: str = "folder", cache: Path | None = None) -> dict[str, str]:
    dataset = find_dataset(name, {each.name: each for each in IMAGE_DATASETS})
    entries: tuple[Entry, ...] = dataset.load_annotations(source, {}, cache).entries
    return {entry.file: entry.split for entry in entries}


def test_copies_and_similar_images_are_in_one_split(tmp_path: Path) -> None:
    images = {f"{n}.jpg": picture(n) for n in range(30)}
    images |= {f"copy of {n}.jpg": picture(n) for n in range(10)}
    images |= {f"small {n}.jpg": picture(n, side=40, quality=60) for n in range(5, 15)}
    found = splits(write(tmp_path, images))
    for n in range(10):
        assert found[f"{n}.jpg"] == found[f"copy of {n}.jpg"]
    for n in range(5, 15):
        assert found[f"{n}.jpg"] == found[f"small {n}.jpg"]
    assert Counter(found.values()) == {"train": 40, "validation": 5, "test": 5}


def test_new_names_and_another_folder_change_no_split(tmp_path: Path) -> None:
    found = splits(write(tmp_path / "a", {f"{n}.jpg": picture(n) for n in range(40)}))
    other = splits(write(tmp_path / "b", {f"x{9999 - n}.jpg": picture(n) for n in range(40)}))
    assert [found[f"{n}.jpg"] for n in range(40)] == [other[f"x{9999 - n}.jpg"] for n in range(40)]


def test_added_images_move_no_other_and_fill_the_splits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = {f"{n}.jpg": picture(n) for n in range(40)}
    cache = tmp_path / "cache"
    before = splits(write(tmp_path, images), cache=cache)
    read = list[str]()
    whole = similarity.hash_file

    def counted(path: Path, *part: Any, clip: bool) -> int:
        read.append(path.name)
        return whole(path, *part, clip=clip)

    monkeypatch.setattr(similarity, "hash_file", counted)
    images |= {f"0{n}.jpg": picture(n) for n in range(100, 120)}
    after = splits(write(tmp_path, images), cache=cache)
    assert sorted(read) == [f"0{n}.jpg" for n in range(100, 120)]  # the others are known
    assert after.items() >= before.items()
    assert Counter(after.values()) == {"train": 48, "validation": 6, "test": 6}


def test_labeled_images_are_balanced_and_have_a_test_split(tmp_path: Path) -> None:
    source = write(tmp_path, {f"{n}.jpg": picture(n) for n in range(40)}, "labeled-images")
    counts = Counter(splits(source, "labeled-images").values())
    assert 31 <= counts["train"] <= 33 and min(counts["validation"], counts["test"]) >= 3


def test_images_that_are_all_similar_are_still_divided(tmp_path: Path) -> None:
    images = {f"{n}.jpg": picture(0, quality=50 + n) for n in range(20)}
    assert Counter(splits(write(tmp_path, images)).values()) == {
        "train": 16,
        "validation": 2,
        "test": 2,
    }


def test_one_image_with_copies_cannot_be_divided(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no usable image in the validation split"):
        splits(write(tmp_path, {f"{n}.jpg": picture(0) for n in range(20)}))
