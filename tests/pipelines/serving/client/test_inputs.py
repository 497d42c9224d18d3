"""The inputs of caption, classify and translate: what is read, what is left out and named."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest

from data.common.errors import UserError
from pipelines.serving.client.inputs import Inputs, read_inputs
from tests.support.source_files import fill


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a folder of files of many kinds."""
    files = ["a.jpg", "b/c.PNG", "b/d.HEIC", "b/e/f.ts", "b/e/g.MTS", "h.wmv", "i.flv", "j.cr2"]
    fill(tmp_path, {f"photos/{name}": "x" for name in (*files, "notes.txt", ".hidden.jpg")})
    monkeypatch.chdir(tmp_path)
    return tmp_path


def names(inputs: Inputs) -> list[str]:
    return [str(item) for item in inputs.items]


def test_folders_are_read_with_their_subfolders_and_other_files_are_named() -> None:
    images = read_inputs(["photos"], "image")
    assert names(images) == ["photos/a.jpg", "photos/b/c.PNG"]
    (line,) = images.left_out
    assert line.startswith(
        "photos: 7 of 9 files are left out, 1 .heic, 1 .ts, 1 .mts, 1 .wmv, 1 .flv, 1 .cr2, 1 .txt:"
        " b/d.HEIC, b/e/f.ts, b/e/g.MTS, h.wmv, i.flv, j.cr2, notes.txt; read are .avif, .bmp,"
    )
    clips = read_inputs(["photos/"], "clip")
    assert names(clips) == ["photos/b/e/f.ts", "photos/b/e/g.MTS", "photos/h.wmv", "photos/i.flv"]
    assert clips.left_out[0].startswith("photos: 5 of 9 files are left out")


def test_patterns_are_expanded_and_no_file_is_read_twice() -> None:
    found = read_inputs(["photos/**/*.[jP]*", "photos/a.jpg", "photos"], "image")
    assert names(found) == ["photos/a.jpg", "photos/b/c.PNG"]
    assert read_inputs(["photos/*"], "image").left_out[0].startswith("photos/*: 7 of 9 files")
    assert names(read_inputs(["photos/**"], "image")) == names(found)
    assert names(read_inputs(["photos/j.cr2"], "image")) == ["photos/j.cr2"]  # named: tried


@pytest.mark.parametrize(
    ("kind", "arguments", "message"),
    [
        ("image", "photos/a.jpeg", "no such file or folder: photos/a.jpeg: did you mean photos/a."),
        ("image", "gone.jpg photos", "no such file or folder: gone.jpg"),
        ("image", "photos/*.bmp", r"no file matches 'photos/\*\.bmp'"),
        ("image", "photos/b/e", r"no image in photos/b/e: none of \.avif.*; found 1 \.ts, 1 \.mts"),
        ("image", "table.csv", r"table\.csv: none of its 1 files exists; no such file or folder:"),
        ("text", "gone.csv", "no such file or folder: gone.csv"),
        ("text", "*.txt", r"no file matches '\*\.txt'"),
        (
            "text",
            "photos/a.jpg",
            r"photos/a\.jpg: texts are read from \.csv, \.jsonl, \.tsv, \.txt",
        ),
        ("text", "table.csv", r"table\.csv, line 1: no column text .*--column names the column"),
    ],
)
def test_a_wrong_argument_is_refused(kind: str, arguments: str, message: str, folder: Path) -> None:
    fill(folder, {"table.csv": "file,remarks\ngone.jpg,a\n"})
    with pytest.raises(UserError, match=message):
        read_inputs(arguments.split(), kind)


def test_tables_name_files_beside_them_or_from_the_current_folder(folder: Path) -> None:
    fill(folder, {"set/captions.csv": "image;caption\n1.jpg;a\n1.jpg;b\nphotos/a.jpg;c\n2.jpg;d\n"})
    fill(folder, {"set/images/1.jpg": "x"})
    found = read_inputs(["set/captions.csv"], "image")
    assert names(found) == ["set/images/1.jpg", "photos/a.jpg", "set/2.jpg"]
    fill(folder, {"set/list.jsonl": '{"Photo": "images/1.jpg"}\n{"Photo": ""}\n'})
    assert names(read_inputs(["set/list.jsonl"], "image", "photo")) == ["set/images/1.jpg"]


def test_texts_are_arguments_lines_of_files_and_columns_of_tables(folder: Path) -> None:
    fill(folder, {"lines.txt": "one two\n\nthree\n", "table.tsv": "label\ttext\nx\tfour, five\n"})
    fill(folder, {"more.jsonl": '{"body": "six"}\n{"body": 7}\n{"text": "eight"}\n'})
    found = read_inputs(["Why?", "lines.txt", "a*b", "table.tsv", ""], "text")
    assert names(found) == ["Why?", "one two", "", "three", "a*b", "four, five", ""]
    found = read_inputs(["more.jsonl"], "text", "body")
    assert found.items[0] == "six"
    assert [line.partition(":")[0] for line in found.problems][:1] == ["more.jsonl"]


def test_standard_input_has_one_input_a_line_or_a_table(monkeypatch: pytest.MonkeyPatch) -> None:
    def read(text: str, kind: str, column: str | None = None) -> list[str]:
        monkeypatch.setattr(sys, "stdin", io.StringIO(text))
        return names(read_inputs([], kind, column))

    assert read("one\r\n\ntwo\n", "text") == ["one", "", "two"]
    assert read("photos/a.jpg\n\nphotos/b/c.PNG\n", "image") == ["photos/a.jpg", "photos/b/c.PNG"]
    assert read('n,body\n1,"a, b"\n', "text", "body") == ["a, b"]
    assert read('{"body": "c"}\n', "text", "body") == ["c"]
    for text, message in (("", "no image given"), ("gone.jpg\n", "none of its 1 files exists")):
        with pytest.raises(UserError, match=message):
            read(text, "image")
