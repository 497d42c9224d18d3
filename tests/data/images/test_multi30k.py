"""Captions in other languages for the images that are present."""

from __future__ import annotations

import gzip
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from data.annotations.entries import Entry
from data.common.errors import UserError
from data.images.multi30k import read_multi30k
from data.text.parallel import Languages, read_pairs
from tests.support.source_files import by_split, captions, fill, media

FILES = {
    "train.de.gz": gzip.compress(b"Ein Hund.\nZwei Katzen.\nEin Mann.\n"),
    "images.train.txt": "100.jpg\n200.jpg\n300.jpg\n",
    "val.de": "Ein Hut.\n",
    "images.val.txt": "400.jpg\n",
    **media("images", "100_ab12.jpg", "300_cd34.jpg", "400_ef56.jpg", "500_a1.jpg"),
}


def test_lines_are_matched_with_the_images_that_are_present(tmp_path: Path) -> None:
    listing = read_multi30k(fill(tmp_path, FILES), "de")
    assert captions(listing) == {
        "100_ab12.jpg": ("Ein Hund.",),
        "300_cd34.jpg": ("Ein Mann.",),
        "400_ef56.jpg": ("Ein Hut.",),
    }
    assert by_split(listing)["validation"] == ["400_ef56.jpg"]
    assert listing.problems == ()
    assert "3 of 4 captions have their image in images/" in listing.notes


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"images.train.txt": "100.jpg\n"}, r"train.de.gz has 3 lines, images.train.txt has 1"),
        ({"images.train.txt": b"100\xff.jpg\n"}, r"images.train.txt, line 1: not UTF-8"),
    ],
)
def test_files_that_do_not_match_are_reported(
    tmp_path: Path, files: dict[str, str], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        read_multi30k(fill(tmp_path, FILES | files), "de")


def test_a_missing_file_is_reported(tmp_path: Path) -> None:
    source = fill(tmp_path, FILES)
    with pytest.raises(UserError, match=r"looked for train.fr \(or .gz\)"):
        read_multi30k(source, "fr")


def test_real_photos_in_german(shared_data: Path, tmp_path: Path) -> None:
    for path in (*(shared_data / "multi30k").iterdir(), shared_data / "flickr8k" / "images"):
        (tmp_path / path.name).symlink_to(path)
    listing = read_multi30k(tmp_path, "de")
    assert {split: len(ids) for split, ids in by_split(listing).items()} == {
        "train": 6043,
        "validation": 210,
    }
    assert captions(listing)["1000268201_693b08cb0e.jpg"] == (
        "Ein kleines Mädchen klettert in ein Spielhaus aus Holz.",
    )


@pytest.mark.parametrize("root", ["", "dataset/task1/", "data/task1/"])
def test_the_repository_of_multi30k_is_read_as_it_is(tmp_path: Path, root: str) -> None:
    numbers = {
        "train": range(100, 140),
        "val": range(140, 144),
        "test_2016_flickr": range(144, 148),
    }
    files = dict[str, Any]()
    for name, some in numbers.items():
        lines = "".join(f"Ein Hund {n}.\n" for n in some)
        files[f"{root}raw/{name}.de.gz"] = gzip.compress(lines.encode())
        files[f"{root}raw/{name}.en.gz"] = gzip.compress(lines.replace("Ein", "A").encode())
        files[f"{root}image_splits/{name}.txt"] = "".join(f"{n}.jpg\n" for n in some)
    source = fill(tmp_path, files | media("images", *(f"{n}_ab.jpg" for n in range(100, 148))))
    listing = read_multi30k(source, "de")
    assert {split: len(ids) for split, ids in by_split(listing).items()} == {
        "train": 40,
        "validation": 4,
        "test": 4,
    }
    pairs = [each for each in read_pairs(source, Languages("en", "de")) if isinstance(each, Entry)]
    assert Counter(each.split for each in pairs) == {"train": 40, "validation": 4, "test": 4}
