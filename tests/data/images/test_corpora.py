"""Corpora of captioned images: each layout is read, and its problems are reported."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from data.annotations.entries import Problem
from data.annotations.source_files import check_folder
from data.common.errors import UserError
from data.images.corpora import read_coco, read_flickr8k, read_flickr30k
from tests.support.source_files import by_split, captions, fill, media

# Flickr8k

FLICKR8K = {
    "Flickr8k.token.txt": "a.jpg#0\tA dog runs .\na.jpg#1\tA dog .\nb.jpg#0\tTwo  men sit .\r\n"
    "c.jpg#0\tA child .\nd.jpg#0\tIn no list .\ne.jpg.1#0\tThe real file's odd line .\n",
    "Flickr_8k.trainImages.txt": "a.jpg\n",
    "Flickr_8k.devImages.txt": "b.jpg\n",
    "Flickr_8k.testImages.txt": "c.jpg\n",
}


@pytest.mark.parametrize("folder", ["images", "Flicker8k_Dataset", "Flickr8k_Dataset"])
@pytest.mark.parametrize("texts", ["", "Flickr8k_text/"])
def test_flickr8k_in_its_distributors_layouts(tmp_path: Path, folder: str, texts: str) -> None:
    fill(tmp_path, {texts + name: text for name, text in FLICKR8K.items()})
    fill(tmp_path, media(folder, "a.jpg", "b.jpg", "c.jpg", "d.jpg"))
    listing = read_flickr8k(tmp_path)
    assert by_split(listing) == {"train": ["a.jpg"], "validation": ["b.jpg"], "test": ["c.jpg"]}
    assert captions(listing)["a.jpg"] == ("A dog runs .", "A dog .")
    assert captions(listing)["b.jpg"] == ("Two men sit .",)
    assert listing.problems == ()
    # d.jpg and the odd "e.jpg.1" are one line on the screen, not a problem each.
    assert listing.notes == ("2 images are in no split list: left out",)


def test_flickr8k_without_its_test_images_or_list(tmp_path: Path) -> None:
    fill(tmp_path, FLICKR8K | media("images", "a.jpg", "b.jpg"))
    listing = read_flickr8k(tmp_path)
    assert by_split(listing) == {"train": ["a.jpg"], "validation": ["b.jpg"]}
    assert listing.problems == ()
    assert "none of the 1 test images is here: no test split" in listing.notes
    (tmp_path / "Flickr_8k.testImages.txt").unlink()
    assert read_flickr8k(tmp_path).entries == listing.entries


def test_each_problem_of_flickr8k_is_reported(tmp_path: Path) -> None:
    lists = {
        "Flickr_8k.trainImages.txt": "a.jpg\nmissing.jpg\nsilent.jpg\nboth.jpg\n",
        "Flickr_8k.devImages.txt": "b.jpg\nboth.jpg\n",
    }
    lines = ["a.jpg#0\tOne .", "a.jpg#0\tOne .", "a.jpg#1\tOne .", "a.jpg#2\t . ", "b.jpg#0\tTwo ."]
    lines += ["missing.jpg#0\tNo file .", "both.jpg#0\tBoth ."]
    fill(tmp_path, lists | {"Flickr8k.token.txt": "\n".join(lines)})
    fill(tmp_path, media("images", "a.jpg", "b.jpg", "silent.jpg", "both.jpg", "new.jpg"))
    listing = read_flickr8k(tmp_path)
    assert by_split(listing) == {"train": ["a.jpg", "both.jpg"], "validation": ["b.jpg"]}
    # Two people may say the same: only the row written twice is dropped.
    assert captions(listing)["a.jpg"] == ("One .", "One .")
    assert set(listing.problems) == {
        Problem(
            "both.jpg", "in two splits: train (kept) and validation", "Flickr_8k.devImages.txt:2"
        ),
        Problem("a.jpg", "caption given twice", "Flickr8k.token.txt:2", bad=False),
        Problem("a.jpg", "caption without words", "Flickr8k.token.txt:4", bad=False),
        Problem("missing.jpg", "missing", "Flickr_8k.trainImages.txt:2"),
        Problem("silent.jpg", "without captions", "Flickr_8k.trainImages.txt:3"),
        Problem("new.jpg", "without captions", "images"),
    }
    assert listing.total == 6


def test_kaggles_flickr8k_has_no_splits(tmp_path: Path) -> None:
    names = [f"{number}.jpg" for number in range(40)]
    rows = "".join(f'{name},"A man , and ""gauges"" {name} ."\n' for name in names)
    fill(tmp_path, {"captions.txt": "image,caption\n" + rows} | media("Images", *names))
    listing = read_flickr8k(tmp_path)
    assert captions(listing)["7.jpg"] == ('A man , and "gauges" 7.jpg .',)
    assert {entry.split for entry in listing.entries} == {""}
    assert listing.missing == ("train", "validation", "test")


def test_the_real_flickr8k(shared_data: Path) -> None:
    listing = read_flickr8k(shared_data / "flickr8k")
    assert Counter(entry.split for entry in listing.entries) == {"train": 6000, "validation": 1000}
    assert {len(entry.captions) for entry in listing.entries} == {5}
    assert (listing.problems, listing.notes) == ((), ())


# Flickr30k


@pytest.mark.parametrize("folder", ["flickr30k-images", "flickr30k_images/flickr30k_images"])
def test_flickr30k_from_its_token_file_and_kaggles_table(tmp_path: Path, folder: str) -> None:
    names = [f"{number}.jpg" for number in range(30)]
    fill(tmp_path, media(folder, *names))
    tokens = "".join(f"{name}#{i}\tA  dog {i} .\n" for name in names for i in range(2))
    fill(tmp_path, {"results_20130124.token": tokens})
    expected = read_flickr30k(tmp_path)
    assert len(expected.entries) == 30
    (tmp_path / "results_20130124.token").unlink()
    # One row of the real table lacks its second bar.
    table = "image_name| comment_number| comment\n" + "".join(
        f"{name}| {i}{' |'[i]} A dog {i} .\n" for name in names for i in range(2)
    )
    fill(tmp_path / folder.split("/")[0], {"results.csv": table})
    assert read_flickr30k(tmp_path).entries == expected.entries


def karpathy(dataset: str, *images: Mapping[str, Any]) -> dict[str, Any]:
    return {"dataset": dataset, "images": list(images)}


def test_flickr30k_in_karpathys_splits(tmp_path: Path) -> None:
    content = karpathy(
        "flickr30k",
        *(
            {"filename": f"{split}.jpg", "split": split, "imgid": 1,
             "sentences": [{"raw": f"A {split} picture.", "sentid": 1, "tokens": []}]}
            for split in ("train", "val", "test")
        ),
    )  # fmt: skip
    fill(tmp_path, {"dataset_flickr30k.json": content})
    fill(tmp_path, media("flickr30k-images", "train.jpg", "val.jpg", "test.jpg"))
    expected = {"train": ["train.jpg"], "validation": ["val.jpg"], "test": ["test.jpg"]}
    assert by_split(read_flickr30k(tmp_path)) == expected


# COCO


def test_coco_in_karpathys_splits(tmp_path: Path) -> None:
    def image(number: int, folder: str, split: str) -> dict[str, Any]:
        return {
            "filepath": folder, "filename": f"COCO_{number}.jpg", "cocoid": number, "split": split,
            "sentences": [{"raw": "Two cats. ", "sentid": number * 10}],
        }  # fmt: skip

    images = [image(1, "train2014", "train"), image(2, "val2014", "restval")]
    images += [image(3, "val2014", "val"), image(4, "val2014", "test")]
    fill(tmp_path, {"annotations/dataset_coco.json": karpathy("coco", *images)})
    fill(tmp_path, media("train2014", "COCO_1.jpg"))
    with pytest.raises(UserError, match=r"looked for train2014/, val2014/; found"):
        read_coco(tmp_path)
    fill(tmp_path, media("val2014", "COCO_2.jpg", "COCO_3.jpg", "COCO_4.jpg"))
    listing = read_coco(tmp_path)
    assert by_split(listing) == {"train": ["1", "2"], "validation": ["3"], "test": ["4"]}
    assert captions(listing)["4"] == ("Two cats.",)
    assert listing.problems == ()


@pytest.mark.parametrize("year", [2014, 2017])
@pytest.mark.parametrize("images", ["", "images/"])
def test_coco_from_its_own_annotations(tmp_path: Path, year: int, images: str) -> None:
    for split, number in (("train", 5), ("val", 6)):
        content = {
            "images": [
                {"id": number, "file_name": f"{number:012}.jpg"},
                {"id": number + 10, "file_name": "x.jpg"},
            ],
            "annotations": [
                {"image_id": number, "id": 1, "caption": "A cat."},
                {"image_id": number, "id": 2, "caption": "A cat."},
                {"image_id": 99, "id": 3, "caption": "Of nothing."},
            ],
        }  # fmt: skip
        fill(tmp_path, {f"annotations/captions_{split}{year}.json": content})
        fill(tmp_path, media(f"{images}{split}{year}", f"{number:012}.jpg", "x.jpg"))
    listing = read_coco(tmp_path)
    assert by_split(listing) == {"train": ["5"], "validation": ["6"]}
    assert captions(listing)["5"] == ("A cat.", "A cat.")
    assert {problem.file: problem.reason for problem in listing.problems} == {
        f"train{year}/99": "missing",
        f"val{year}/99": "missing",
        f"train{year}/x.jpg": "without captions",
        f"val{year}/x.jpg": "without captions",
    }


def test_a_coco_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    fill(tmp_path, media("train2014", "a.jpg") | media("val2014", "b.jpg"))
    for content, message in [
        ({"images": [{"id": 1}]}, "not Karpathy's layout"),
        ({"pictures": []}, "no list 'images'"),
        ('{"images":\n\n oops', "line 3: not JSON"),
        ("[" * 100_000, "unreadable JSON"),
        ('{"images": ' + "1" * 5000 + "}", "unreadable JSON"),
        (
            {
                "images": [
                    {
                        "filepath": "train2014",
                        "filename": "a.jpg",
                        "split": "train",
                        "sentences": [{"raw": 5}],
                    }
                ]
            },
            "caption 5 is not a string",
        ),
    ]:
        fill(tmp_path, {"dataset_coco.json": content})
        with pytest.raises(UserError, match=message):
            read_coco(tmp_path)


def test_a_source_that_is_not_a_folder_is_an_error(tmp_path: Path) -> None:
    fill(tmp_path, {"Flickr8k.zip": b"PK"})
    with pytest.raises(UserError, match=r"no such folder: .*Flickr \(.* holds Flickr8k.zip\)"):
        check_folder(tmp_path / "Flickr")
    with pytest.raises(UserError, match="is a file, not a folder: unpack it first"):
        check_folder(tmp_path / "Flickr8k.zip")


@pytest.mark.parametrize(
    ("read", "looked_for"),
    [
        (read_flickr8k, "images/, Images/, Flicker8k_Dataset/, Flickr8k_Dataset/"),
        (read_flickr30k, "flickr30k-images/, flickr30k_images/, images/, Images/"),
        (read_coco, "dataset_coco.json, annotations/captions_train2017.json"),
    ],
)
def test_the_error_for_an_unknown_layout_names_the_expected_files(
    tmp_path: Path, read: Any, looked_for: str
) -> None:
    fill(tmp_path, {"readme.md": "x"})
    with pytest.raises(UserError, match=f"looked for {re.escape(looked_for)}.*; found readme.md"):
        read(tmp_path)
