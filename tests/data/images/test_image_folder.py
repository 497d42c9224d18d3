"""A user's own folder of captioned images: usual layouts are read, mistakes are reported."""

from __future__ import annotations

import json
import os
import unicodedata
from pathlib import Path
from typing import Any

import pytest

from data.annotations.entries import Annotations, Problem
from data.annotations.source_files import check_folder
from data.common.errors import UserError
from data.images.datasets import IMAGE_DATASETS
from data.images.image_folder import read_folder
from data.storage.dataset_info import find_dataset
from tests.support.source_files import by_split, captions, fill, media


def folder(
    tmp_path: Path, table: str | bytes, *names: str, name: str = "captions.csv"
) -> Annotations:
    return read_folder(fill(tmp_path, {name: table} | media("images", *names)))


def load(source: Path) -> Annotations:
    datasets = {dataset.name: dataset for dataset in IMAGE_DATASETS}
    return find_dataset("folder", datasets).load_annotations(source, {})


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
        ("d.jpg", "caption is not a string or a list of strings"),
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
    "name", ["/etc/passwd", "../secret.jpg", "x/../../secret.jpg", "C:\\secret.jpg"]
)
def test_images_outside_the_image_folder_are_refused(tmp_path: Path, name: str) -> None:
    fill(tmp_path, {"secret.jpg": b"image"})
    table = f"image,caption\n{name},out\na.jpg,one\nb.jpg,two\n"
    listing = folder(tmp_path, table, "a.jpg", "b.jpg")
    assert set(captions(listing)) == {"a.jpg", "b.jpg"}
    (problem,) = listing.problems
    assert problem.reason.startswith("outside images: ")
    assert problem.where == "captions.csv:2"


def test_symbolic_links_are_followed_but_not_in_loops(tmp_path: Path) -> None:
    elsewhere = fill(tmp_path / "elsewhere", media("deep", "b.jpg") | {"a.jpg": b"image"})
    source = fill(tmp_path / "source", {"captions.csv": "image,caption\na.jpg,a\nmore/b.jpg,b\n"})
    (source / "images").mkdir()
    os.symlink(elsewhere / "a.jpg", source / "images" / "a.jpg")
    os.symlink(elsewhere / "deep", source / "images" / "more")
    os.symlink(source / "images", source / "images" / "circle")
    os.symlink(source / "nowhere.jpg", source / "images" / "broken.jpg")
    listing = read_folder(source)
    assert set(captions(listing)) == {"a.jpg", "more/b.jpg"}
    assert listing.problems == ()


def test_each_problem_of_a_folder_is_reported(tmp_path: Path) -> None:
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
        "wrong number of fields: 3, the first line"
    )
    assert found == {
        ("a.jpg", "captions.csv:3"): "caption given twice",
        ("gone.jpg", "captions.csv:4"): "missing",
        ("b.jpg", "captions.csv:6"): "without captions",
        ("c.jpg", "captions.csv:7"): "caption too long: 500 words, at most 200",
        (".", "captions.csv:11"): "missing",
        ("captions.csv:10", "captions.csv:10"): "no file: give one or remove the line",
        ("d.jpg", "images"): "without captions",
        ("new.JPG", "images"): "without captions",
    }


def test_words_are_counted_in_every_script(tmp_path: Path) -> None:
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


def test_a_long_caption_is_a_problem_of_its_image_only(tmp_path: Path) -> None:
    table = f"image,caption\na.jpg,one\nb.jpg,two\nb.jpg,{30_000 * 'word '}\n"
    listing = folder(tmp_path, table, "a.jpg", "b.jpg")
    reason = "caption too long: 30000 words, at most 200"
    assert listing.problems == (Problem("b.jpg", reason, "captions.csv:4", bad=False),)


def test_an_empty_split_is_no_split_in_csv_and_jsonl(tmp_path: Path) -> None:
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
        (media("images", "a.jpg") | {"labels.csv": GOOD, "more.csv": GOOD},
         "no caption file in .*: looked for captions.csv, .*captions.json; found images/, labels"),
        ({"captions.csv": GOOD, "pics/a.md": b""},
         r"no image folder in .*: looked for images/, Images/; found captions.csv, pics/"),
        ({"captions.csv": GOOD, "captions.jsonl": "{}"} | media("images", "a.jpg"),
         r"captions.csv and captions.jsonl: keep one"),
        ({"captions.csv": GOOD} | media("images", "C.JPG", "D.JPG"),
         r"none of the 2 images listed is in .*: the first is 'a.jpg', the folder holds 'C.JPG'"),
        ({"captions.csv": "image,caption\n"} | media("images", "a.jpg"), "every image in"),
        ({"captions.csv": ""} | media("images", "a.jpg"),
         r"captions.csv, line 1: no column file \(name it image"),
        ({"captions.csv": "a.jpg,A dog\n"} | media("images", "a.jpg"),
         r"line 1: no column file .*; no column caption .*first line is \['a.jpg', 'A dog'\]"),
        ({"captions.csv": b"image,caption\na.jpg,caf\xe9\n"} | media("images", "a.jpg"),
         r"captions.csv:2: not UTF-8 \(byte 0xe9\); save it as UTF-8"),
        ({"captions.csv": 'image,caption\na.jpg,"open\n'} | media("images", "a.jpg"),
         "line 2: unexpected end of data"),
        ({"captions.jsonl": '{"image": "a.jpg", "caption": "one"}\n\n{"image": }'}
         | media("images", "a.jpg"), "line 3: not JSON"),
        ({"captions.jsonl": '{"image": ' + 5000 * "1" + "}"} | media("images", "a.jpg"),
         "line 1: not JSON"),
        ({"captions.csv": "image,caption,split,split\na.jpg,one,test,\n"}
         | media("images", "a.jpg"),
         r"captions.csv, line 1: 2 columns split \('split', 'split'\): keep one"),
        ({"captions.jsonl": '{"place": "a.jpg"}'} | media("images", "a.jpg"),
         r"captions.jsonl: no column file .* in any line"),
        ({"captions.csv": "image,caption\na.jpg,one\n"} | media("images", "a.jpg"),
         "at least two are needed"),
        ({"captions.csv": "image,caption,split\na.jpg,one,train\nb.jpg,two,test\n"}
         | media("images", "a.jpg", "b.jpg"), "at least two|no usable image in the validation"),
        ({"captions.csv": "image,caption,split\na.jpg,one,0\nb.jpg,two,1\n"}
         | media("images", "a.jpg", "b.jpg"), "^captions.csv:2: unknown split: '0' is not train"),
        ({"captions.csv": "image,caption\na.jpg,one, and more\nb.jpg,two, and more\n"}
         | media("images", "a.jpg", "b.jpg"), "^captions.csv:2: wrong number of fields: 3"),
    ],
)  # fmt: skip
def test_an_unreadable_folder_is_an_error_that_names_file_and_line(
    tmp_path: Path, files: dict[str, Any], message: str
) -> None:
    fill(tmp_path, files)
    with pytest.raises(UserError, match=message):
        check_folder(tmp_path)
        load(tmp_path)


def test_a_name_in_another_form_is_found_or_suggested(tmp_path: Path) -> None:
    table = (
        "image,caption\n3.jpg,three\n5,five\n/home/me/7.jpg,seven\n9.png,nine\nbeech.jpg,a beach\n"
    )
    names = ["3.JPG", "5.jpg", "007.jpg", "9.jpg", "beach.jpg"]
    listing = folder(tmp_path, table, *names)
    assert captions(listing) == {"3.JPG": ("three",), "5.jpg": ("five",), "007.jpg": ("seven",)}
    found = {problem.file: problem.reason for problem in listing.problems}
    assert found["9.png"] == "missing: did you mean '9.jpg'?"
    assert found["beech.jpg"] == "missing: did you mean 'beach.jpg'?"
    assert listing.notes == ("3 images found under another name: captions.csv:2: '3.jpg' is 3.JPG",)


def test_test_images_without_captions_are_left_out_but_not_bad(tmp_path: Path) -> None:
    rows = "a.jpg,a,train\nb.jpg,b,val\nc.jpg,,test\nd.jpg,,train\n"
    listing = folder(tmp_path, f"image,caption,split\n{rows}", *(f"{c}.jpg" for c in "abcd"))
    found = {p.file: p.bad for p in listing.problems if p.reason == "without captions"}
    assert found == {"c.jpg": False, "d.jpg": True}


def test_images_in_a_folder_of_any_name_with_a_table_or_a_text_beside_each(tmp_path: Path) -> None:
    table = {"captions.csv": "image,caption\na.jpg,one\npics/b.jpg,two\n"}
    found = read_folder(fill(tmp_path / "1", {**table, **media("pics", "a.jpg", "b.jpg")}))
    assert captions(found) == {"pics/a.jpg": ("one",), "pics/b.jpg": ("two",)}
    texts = {"train/test 1.txt": "one\ntwo\n", "val/b.txt": "three"}
    files = {**texts, **media("train", "test 1.jpg"), **media("val", "b.jpg")}
    found = read_folder(fill(tmp_path / "2", files))
    assert captions(found) == {"train/test 1.jpg": ("one", "two"), "val/b.jpg": ("three",)}
    assert by_split(found) == {"train": ["train/test 1.jpg"], "validation": ["val/b.jpg"]}


def test_names_with_invisible_marks_are_found(tmp_path: Path) -> None:
    names = ["a.jpg", "Screenshot 1.02\u202fPM.png", " b.jpg", "c.jpg"]
    rows = "\u202aa.jpg,one\nScreenshot 1.02 PM.png,two\nb.jpg,three\nc.jpg\u200e,x\n"
    assert set(captions(folder(tmp_path, f"image,caption\n{rows}", *names))) == set(names)


def test_a_table_for_each_split_and_pairs_of_json(tmp_path: Path) -> None:
    files = {"train.csv": "image,caption\na.jpg,one\n", "val.csv": "image,caption\na.jpg,two\n"}
    names = ("train/a.jpg", "b.jpg", "val/a.jpg")
    listing = read_folder(fill(tmp_path / "1", {**files, **media("images", *names)}))
    assert by_split(listing) == {"train": ["train/a.jpg"], "validation": ["val/a.jpg"]}
    pairs = {"a.jpg": ["one", "two"], "b.jpg": "three"}
    found = read_folder(fill(tmp_path / "2", {"captions.json": pairs, **media("images", *pairs)}))
    assert captions(found) == {"a.jpg": ("one", "two"), "b.jpg": ("three",)}


def test_cells_that_are_no_captions_are_left_out(tmp_path: Path) -> None:
    rows = [
        "a.jpg,nan",
        "b.jpg,\"['a red square', 'b']\"",
        "c.jpg,a dog",
        "c.jpg,NULL",
        "d.jpg,a cat",
    ]
    names = [row.partition(",")[0] for row in rows]
    listing = folder(tmp_path, "image,caption\n" + "\n".join(rows), *names)
    assert captions(listing) == {"c.jpg": ("a dog",), "d.jpg": ("a cat",)}
    assert {(problem.where, problem.reason) for problem in listing.problems} >= {
        ("captions.csv:2", "no text: 'nan'"),
        ("captions.csv:3", "a list written as text: \"['a red square', 'b']\""),
        ("captions.csv:5", "no text: 'NULL'"),
    }


@pytest.mark.parametrize(
    ("name", "table"),
    [
        ("captions.csv", "image,caption,\na.jpg,one,\nb.jpg,two,\n"),
        ("captions.csv", "image,caption\na.jpg,one,\nb.jpg,two,,\n"),
        ("captions.csv", 'image, caption\na.jpg, "one"\nb.jpg, "two"\n'),
        ("results.csv", "image_name| comment_number| comment\na.jpg| 0| one\nb.jpg| 0| two\n"),
        ("captions.csv", "sep=;\nimage;caption\na.jpg;one\nb.jpg;two\n"),
        ("photos.tsv", "Image Path\tDescription\n/x/images/a.jpg\tone\n/x/images/b.jpg\ttwo\n"),
        ("captions.jsonl", '{"file_name": "a.jpg", "text": "one"}\n'
         '{"id": "b", "caption_1": "two"}\n'),
        ("data.json", '[{"image": "a.jpg", "caption": "one"},'
         ' {"image": "b.jpg", "caption": "two"}]'),
        ("metadata.jsonl", '{"image_id": 1, "path": "a.jpg", "raw": ["one"]}\n'
         '{"filename": "b.jpg", "sentences": ["two"]}\n'),
    ],
)  # fmt: skip
def test_tables_of_many_kinds_give_the_same_captions(tmp_path: Path, name: str, table: str) -> None:
    listing = folder(tmp_path, table, "a.jpg", "b.jpg", name=name)
    assert captions(listing) == {"a.jpg": ("one",), "b.jpg": ("two",)}


def test_files_of_other_formats_are_named(tmp_path: Path) -> None:
    listing = folder(tmp_path, GOOD, "a.jpg", "b.jpg", "c.HEIC", "d.psd", "notes.txt", "LICENSE")
    assert {problem.file: problem.reason for problem in listing.problems} == {
        "c.HEIC": "suffix of no image: .heic",
        "d.psd": "suffix of no image: .psd",
    }
