"""A user's own folder is read as people write it, and each mistake is named."""

from __future__ import annotations

import json
import os
import unicodedata
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.annotations.entries import Listing, Problem
from data.annotations.problems import check_share, read_report, write_report
from data.annotations.splits import hash_splits
from data.annotations.tables import check_folder
from data.common.errors import UserError
from data.images.image_folder import read_folder
from tests.support.source_files import by_split, captions, fill, pictures


def folder(tmp_path: Path, table: str | bytes, *names: str, name: str = "captions.csv") -> Listing:
    return read_folder(fill(tmp_path, {name: table} | pictures("images", *names)))


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("column", ["image", "file", "filename", "File_Name"])
def test_tables_in_the_usual_dialects(
    tmp_path: Path, delimiter: str, mark: str, column: str
) -> None:
    rows = [
        [column, "Caption", "split"],
        ["a.jpg", f'"Ein Hund{delimiter} der\r\n""bellt"""', "train"],
        ["a.jpg", "Noch einer, wirklich", "train"] if delimiter != "," else ["a.jpg", "x", "train"],
        ["b.jpg", "Две собаки", "Val"],
        [],
        ["c.jpg", "كلب يركض 🐕", "test"],
    ]
    table = mark + "\r\n".join(delimiter.join(row) for row in rows)
    listing = folder(tmp_path, table, "a.jpg", "b.jpg", "c.jpg")
    assert by_split(listing) == {"train": ["a.jpg"], "validation": ["b.jpg"], "test": ["c.jpg"]}
    assert captions(listing)["a.jpg"][0] == f'Ein Hund{delimiter.strip() or ""} der "bellt"'
    assert len(captions(listing)["a.jpg"]) == 2
    assert captions(listing)["c.jpg"] == ("كلب يركض 🐕",)
    assert listing.problems == ()


def test_several_caption_columns_may_be_partly_empty(tmp_path: Path) -> None:
    table = "image,caption_1,caption_2\na.jpg,one,two\nb.jpg,,three\n"
    listing = folder(tmp_path, table, "a.jpg", "b.jpg")
    assert captions(listing) == {"a.jpg": ("one", "two"), "b.jpg": ("three",)}


def test_json_lines(tmp_path: Path) -> None:
    lines = [
        {"image": "a.jpg", "captions": ["one", "two\u2028lines"], "split": "train"},
        {"file": "b.jpg", "caption": "three", "split": "dev"},
        {"image": "c.jpg", "captions": [], "split": "train"},
        {"image": "d.jpg", "captions": 3, "split": "train"},
        {"image": "e.jpg", "caption": "half a pair: \ud83d", "split": "train"},
        {"image": "f.jpg", "caption": "f", "split": "trian"},
    ]
    table = "\n".join(json.dumps(line) for line in lines)
    names = [f"{letter}.jpg" for letter in "abcdef"]
    listing = folder(tmp_path, table, *names, name="captions.jsonl")
    assert captions(listing) == {"a.jpg": ("one", "two lines"), "b.jpg": ("three",)}
    assert by_split(listing) == {"train": ["a.jpg"], "validation": ["b.jpg"]}
    found = {(problem.file, problem.reason.partition(":")[0]) for problem in listing.problems}
    assert found >= {
        ("c.jpg", "without captions"),
        ("d.jpg", "captions are not a list of strings"),
        ("e.jpg", "caption is not Unicode"),
        ("f.jpg", "unknown split"),
    }


def test_names_in_folders_with_spaces_and_in_either_unicode_form(tmp_path: Path) -> None:
    composed, apart = (unicodedata.normalize(form, "é à.jpg") for form in ("NFC", "NFD"))
    table = f"image,caption\nx/y z/{composed},one\nimages/b.jpg,two\n./c.jpg,three\nx\\d.jpg,four\n"
    listing = folder(tmp_path, table, f"x/y z/{apart}", "b.jpg", "c.jpg", "x/d.jpg")
    assert set(captions(listing)) == {f"x/y z/{composed}", "b.jpg", "c.jpg", "x/d.jpg"}
    assert all(entry.path.is_file() for entry in listing.entries)
    assert listing.problems == ()


@pytest.mark.parametrize(
    "name", ["/etc/passwd", "../secret.jpg", "x/../../secret.jpg", "C:\\a.jpg"]
)
def test_pictures_outside_the_image_folder_are_refused(tmp_path: Path, name: str) -> None:
    fill(tmp_path, {"secret.jpg": b"picture"})
    table = f"image,caption\n{name},out\na.jpg,one\nb.jpg,two\n"
    listing = folder(tmp_path, table, "a.jpg", "b.jpg")
    assert set(captions(listing)) == {"a.jpg", "b.jpg"}
    (problem,) = listing.problems
    assert problem.reason.startswith("outside images: ")
    assert problem.where == "captions.csv:2"


def test_symbolic_links_are_followed_but_not_in_circles(tmp_path: Path) -> None:
    elsewhere = fill(tmp_path / "elsewhere", pictures("deep", "b.jpg") | {"a.jpg": b"picture"})
    source = fill(tmp_path / "source", {"captions.csv": "image,caption\na.jpg,a\nmore/b.jpg,b\n"})
    (source / "images").mkdir()
    os.symlink(elsewhere / "a.jpg", source / "images" / "a.jpg")
    os.symlink(elsewhere / "deep", source / "images" / "more")
    os.symlink(source / "images", source / "images" / "circle")
    os.symlink(source / "nowhere.jpg", source / "images" / "broken.jpg")
    listing = read_folder(source)
    assert set(captions(listing)) == {"a.jpg", "more/b.jpg"}
    assert listing.problems == ()


def test_a_folder_names_what_is_wrong(tmp_path: Path) -> None:
    table = "\n".join(
        [
            "image,caption",
            "a.jpg,one",
            "a.jpg,one",
            "gone.jpg,no file",
            "gone.jpg,no file either",
            "b.jpg,  ",
            "c.jpg," + "word " * 500,
            "c.jpg,short",
            "d.jpg,commas, not quoted",
            ",nameless",
            "./,a folder",
            "e.jpg,five",
        ]
    )
    files = ["a.jpg", "b.jpg", "c.jpg", "d.jpg", "e.jpg", "new.JPG", "notes.txt", ".hidden.jpg"]
    listing = folder(tmp_path, table, *files)
    assert captions(listing) == {"a.jpg": ("one",), "c.jpg": ("short",), "e.jpg": ("five",)}
    assert (
        Problem("b.jpg", "caption without words", "captions.csv:6", bad=False) in listing.problems
    )
    found = {(problem.file, problem.where): problem.reason for problem in listing.problems}
    assert found.pop(("d.jpg", "captions.csv:9")).startswith(
        "wrong number of fields: 3, the header"
    )
    assert found == {
        ("a.jpg", "captions.csv:3"): "caption given twice",
        ("gone.jpg", "captions.csv:4"): "missing",
        ("b.jpg", "captions.csv:6"): "without captions",
        ("c.jpg", "captions.csv:7"): "caption too long: 500 words, at most 200",
        (".", "captions.csv:11"): "missing",
        ("captions.csv:10", "captions.csv:10"): "row without a picture's name",
        ("d.jpg", "images"): "without captions",
        ("new.JPG", "images"): "without captions",
    }


def test_what_counts_as_words_is_seen_in_every_script(tmp_path: Path) -> None:
    fine = ["狗" * 200, "🐕", "שלום", "नमस्ते", "x" * 5000]
    table = "".join(
        json.dumps({"image": f"{i}.jpg", "caption": c}) + "\n" for i, c in enumerate(fine)
    )
    listing = folder(tmp_path, table, *(f"{i}.jpg" for i in range(5)), name="captions.jsonl")
    assert [captions(listing)[f"{i}.jpg"] for i in range(5)] == [(caption,) for caption in fine]
    assert listing.problems == ()
    long = json.dumps({"image": "5.jpg", "caption": "狗" * 201}) + "\n"
    listing = folder(tmp_path, table + long, "5.jpg", name="captions.jsonl")
    assert "5.jpg" not in captions(listing)


def test_a_caption_of_any_length_is_a_matter_of_its_picture(tmp_path: Path) -> None:
    table = f"image,caption\na.jpg,one\nb.jpg,two\nb.jpg,{30_000 * 'word '}\n"
    listing = folder(tmp_path, table, "a.jpg", "b.jpg")
    reason = "caption too long: 30000 words, at most 200"
    assert listing.problems == (Problem("b.jpg", reason, "captions.csv:4", bad=False),)


def test_an_empty_split_is_none_in_either_format(tmp_path: Path) -> None:
    names = [f"{number}.jpg" for number in range(20)]
    rows = [{"image": name, "caption": "one", "split": ""} for name in names]
    (lines := tmp_path / "lines").mkdir()
    listing = folder(lines, "\n".join(map(json.dumps, rows)), *names, name="captions.jsonl")
    (cells := tmp_path / "cells").mkdir()
    table = "image,caption,split\n" + "".join(f"{name},one,\n" for name in names)
    assert by_split(listing) == by_split(folder(cells, table, *names))
    assert not listing.problems


GOOD = "image,caption\na.jpg,one\nb.jpg,two\n"


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "is empty"),
        (pictures("images", "a.jpg") | {"labels.csv": GOOD},
         "no caption file in .*: looked for captions.csv, .*captions.jsonl; found images/, labels"),
        ({"captions.csv": GOOD, "pics/a.jpg": b""},
         r"no image folder in .*: looked for images/; found captions.csv, pics/"),
        ({"captions.csv": GOOD, "captions.jsonl": "{}"} | pictures("images", "a.jpg"),
         r"captions.csv and captions.jsonl: keep the one"),
        ({"captions.csv": GOOD} | pictures("images", "A.JPG", "B.JPG"),
         r"none of the 2 pictures listed is in .*: the first is 'a.jpg', there lie 'A.JPG'"),
        ({"captions.csv": "image,caption\n"} | pictures("images", "a.jpg"), "every picture in"),
        ({"captions.csv": ""} | pictures("images", "a.jpg"), "its first line must name one column"),
        ({"captions.csv": "a.jpg,A dog\n"} | pictures("images", "a.jpg"),
         r"its first line must name one column of pictures .*it is \['a.jpg', 'A dog'\]"),
        ({"captions.csv": b"image,caption\na.jpg,a\nb.jpg,caf\xe9\n"} | pictures("images", "a.jpg"),
         r"captions.csv, line 3: not UTF-8 \(byte 0xe9\); save it as UTF-8"),
        ({"captions.csv": GOOD.encode("utf-16")} | pictures("images", "a.jpg"), "line 1: UTF-16"),
        ({"captions.csv": 'image,caption\na.jpg,"open\n'} | pictures("images", "a.jpg"),
         "line 2: unexpected end of data"),
        ({"captions.jsonl": '{"image": "a.jpg", "caption": "one"}\n\n{"image": }'}
         | pictures("images", "a.jpg"), "line 3: not JSON"),
        ({"captions.jsonl": '{"image": ' + 5000 * "1" + "}"} | pictures("images", "a.jpg"),
         "line 1: not JSON"),
        ({"captions.csv": "image,caption,split,split\na.jpg,one,test,\n"}
         | pictures("images", "a.jpg"), "2 columns split"),
        ({"captions.jsonl": '{"picture": "a.jpg"}'} | pictures("images", "a.jpg"),
         "line 1: not an object that names its picture"),
        ({"captions.csv": "image,caption\na.jpg,one\n"} | pictures("images", "a.jpg"),
         "at least two are needed"),
        ({"captions.csv": "image,caption,split\na.jpg,one,train\nb.jpg,two,test\n"}
         | pictures("images", "a.jpg", "b.jpg"), "no usable picture in the validation split"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_says_what_was_looked_for(
    tmp_path: Path, files: dict[str, Any], message: str
) -> None:
    fill(tmp_path, files)
    with pytest.raises(UserError, match=message):
        check_folder(tmp_path)
        read_folder(tmp_path)


# Splits by hash


@settings(deadline=None)
@given(st.sets(st.text(max_size=8), min_size=2, max_size=60))
def test_hash_splits_always_train_and_validate(image_ids: set[str]) -> None:
    splits = hash_splits(image_ids)
    assert set(splits) == image_ids
    assert {"train", "validation"} <= set(splits.values()) <= {"train", "validation", "test"}
    assert splits == hash_splits(sorted(image_ids, reverse=True))


def test_hash_splits_are_80_10_10_and_new_pictures_move_no_old_ones() -> None:
    image_ids = [f"{number}.jpg" for number in range(5000)]
    splits = hash_splits(image_ids)
    counts = Counter(splits.values())
    assert 3900 < counts["train"] < 4100
    assert 420 < counts["validation"] < 580
    fewer = hash_splits(image_ids[:3000])
    assert all(splits[image_id] == fewer[image_id] for image_id in fewer)


# The limit on bad pictures


def test_a_name_that_is_not_unicode_can_be_reported(tmp_path: Path) -> None:
    problems = [Problem("caf\udce9.jpg", "missing", "a:1")]
    write_report(tmp_path / "problems.jsonl", problems)
    assert read_report(tmp_path / "problems.jsonl") == problems


def test_the_share_of_bad_pictures_is_limited(tmp_path: Path) -> None:
    problems = [Problem("é.jpg", "missing", "a:1"), Problem("é.jpg", "without captions", "a:2")]
    problems += [Problem("b.jpg", "caption too long: 201 words", "a:3", bad=False)]
    report = tmp_path / "problems.jsonl"
    write_report(report, problems)
    assert read_report(report) == problems
    assert json.loads(report.read_text("utf-8").splitlines()[0]) == {
        "file": "é.jpg", "reason": "missing", "where": "a:1", "bad": True
    }  # fmt: skip
    check_share("x", problems, total=100, max_bad=0.01, report=report)
    with pytest.raises(UserError) as error:
        check_share("x", problems, total=99, max_bad=0.01, report=report)
    assert "1 of 99 pictures (1.0%) have problems, more than the 1.0% allowed" in str(error.value)
    assert "1 missing, 1 without captions" in str(error.value)
    assert str(report) in str(error.value)
    # The number it offers is enough.
    enough = float(str(error.value).rpartition("--max-bad ")[2])
    check_share("x", problems, total=99, max_bad=enough, report=report)
    with pytest.raises(UserError, match=r"Mend them$"):  # without them nothing would be left
        check_share("x", problems, total=1, max_bad=0.01, report=report)
