"""Annotation tables: equal rows and problems from every format and dialect."""

from __future__ import annotations

import csv
import gzip
import io
import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.annotations.entries import Problem, Row
from data.annotations.tables import (
    CAPTION,
    LABEL,
    SPLIT,
    Column,
    Layout,
    TableRow,
    read_rows,
    read_table,
    require_rows,
)
from data.common.errors import UserError

CLIPS = Layout(
    {
        "file": Column(("file",), required=True, filled=True),
        "caption": CAPTION,
        "label": LABEL,
        "split": SPLIT,
        "start": Column(("start",)),
        "end": Column(("end",)),
    },
    any_of=("caption", "label"),
)
PAIRS = Layout(
    {
        "text": Column(("text",), required=True, kind="text"),
        "translation": Column(("translation",), required=True, kind="text"),
    },
    headerless=(".tsv",),
    raw_tsv=True,
)
# Cells without surrounding spaces, which are stripped.
TEXT = st.text(
    st.characters(exclude_categories=["Cs", "Z", "Cc"], include_characters=',;"'), min_size=1
)


@settings(deadline=None)
@given(st.lists(st.tuples(TEXT, TEXT, TEXT), min_size=1, max_size=6), st.sampled_from(",;\t"))
def test_csv_and_json_lines_give_the_same_rows(
    table: list[tuple[str, str, str]], delimiter: str
) -> None:
    names = ["file", "caption_1", "Class"]
    stream = io.StringIO()
    csv.writer(stream, delimiter=delimiter).writerows([names, *table])
    lines = "".join(json.dumps(dict(zip(names, row, strict=True))) + "\n" for row in table)
    with tempfile.TemporaryDirectory() as folder:
        found = []
        for name, content in (
            ("a.csv", stream.getvalue()),
            ("a.jsonl", lines),
            ("a.csv.gz", stream.getvalue()),
        ):
            data = content.encode()
            path = Path(folder) / name
            path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
            rows = list(read_table(path, CLIPS))
            assert all(isinstance(row, TableRow) for row in rows)
            found.append([(row.get("file"), row.texts, row.get("label")) for row in rows])  # type: ignore[union-attr]
    assert found == [[(file, (caption,), label) for file, caption, label in table]] * 3


def table(tmp_path: Path, name: str, content: str) -> Path:
    path = tmp_path / name
    path.write_text(content, encoding="utf-8")
    return path


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl"])
def test_bad_rows_are_the_same_problems_in_each_format(tmp_path: Path, name: str) -> None:
    rows = [
        ("a.mp4", "run", "trian", "", ""),
        ("", "run", "", "", ""),
        ("b.mp4", "run", "Val", "3", "2"),
        ("c.mp4", "run", "Val", "x", ""),
        ("d.mp4", "run", "Val", "1.5", "2"),
    ]
    names = ("file", "label", "split", "start", "end")
    content = "".join(
        json.dumps(dict(zip(names, row, strict=True))) + "\n" if name == "a.jsonl" else
        ",".join(row) + "\n"
        for row in rows
    )  # fmt: skip
    first = 1 if name == "a.jsonl" else 2
    content = content if name == "a.jsonl" else ",".join(names) + "\n" + content
    second = f"{name}:{first + 1}"
    part = "not a part of a clip, in seconds: "
    assert list(read_rows(table(tmp_path, name, content), CLIPS)) == [
        Problem(
            "a.mp4", "unknown split: 'trian' is not train, validation or test", f"{name}:{first}"
        ),
        Problem(second, "no file: give one or remove the line", second),
        Problem("b.mp4", f"{part}from 3 s to 2 s", f"{name}:{first + 2}"),
        Problem("c.mp4", f"{part}could not convert string to float: 'x'", f"{name}:{first + 3}"),
        Row("d.mp4", None, "validation", f"{name}:{first + 4}", label="run", start=1.5, end=2.0),
    ]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "label\nx\n", r"a.csv, line 1: no column file \(name it file\); .*\['label'\]"),
        ("a.csv", "\nfile,end\n", r"line 2: no column caption or label \(name it caption, .*class"),
        ("a.csv", "file,label,Class\n", r"line 1: 2 columns label \('label', 'Class'\): keep one"),
        ("a.csv", 'file,label\na,"b\n', "line 2: unexpected end of data"),
        ("a.jsonl", '{"file": "a"}\n', r"a.jsonl: no column caption or label .* in any line"),
        ("a.jsonl", '{"file": "a"}\n{"File": "a", "file": "b"}\n', "line 2: 2 columns file"),
        ("a.jsonl", "[]\n", "line 1: not a JSON object"),
        ("a.jsonl", "\n{\n", "line 2: not JSON"),
    ],
)
def test_an_unreadable_table_is_an_error_that_names_file_and_line(
    tmp_path: Path, name: str, content: str, message: str
) -> None:
    with pytest.raises(UserError, match=message):
        list(read_table(table(tmp_path, name, content), CLIPS))


def test_json_values_that_are_not_text_are_problems(tmp_path: Path) -> None:
    labels = (3, ["x"], "\ud83d", None)
    values: list[dict[str, Any]] = [{"caption": [1]}, *({"label": label} for label in labels)]
    content = "".join(json.dumps({"file": "a.mp4", **value}) + "\n" for value in values)
    first, number, *problems, empty = read_table(table(tmp_path, "a.jsonl", content), CLIPS)
    assert isinstance(number, TableRow) and number.get("label") == "3"
    assert isinstance(empty, TableRow) and empty.get("label") == ""
    assert [problem.reason for problem in (first, *problems) if isinstance(problem, Problem)] == [
        "caption is not a string or a list of strings: [1]",
        "label is not a string: ['x']",
        "label is not Unicode: half a surrogate pair",
    ]


def test_a_table_without_header_has_its_columns_in_order(tmp_path: Path) -> None:
    path = table(tmp_path, "a.tsv", 'A "dog"\tEin Hund\n\n"Two\tZwei\n')
    rows = [(row.get("text"), row.get("translation"), row.where)
            for row in require_rows(path, PAIRS)]  # fmt: skip
    assert rows == [('A "dog"', "Ein Hund", "a.tsv:1"), ('"Two', "Zwei", "a.tsv:3")]
    with pytest.raises(UserError, match=r"a.csv, line 1: no column text"):
        list(read_table(table(tmp_path, "a.csv", "A,B\n"), PAIRS))


def test_rows_of_a_ragged_table_may_lack_fields(tmp_path: Path) -> None:
    layout = Layout({"file": Column(("file",)), "label": LABEL}, ragged=True)
    rows = read_table(table(tmp_path, "a.csv", "file,label\na\nb,x,y\n"), layout)
    found = [(row.get("file"), row.get("label")) for row in rows if isinstance(row, TableRow)]
    assert found == [("a", ""), ("b", "x")]


def test_require_rows_raises_the_first_problem(tmp_path: Path) -> None:
    path = table(tmp_path, "a.csv", "file,label\na,x\nb\n")
    with pytest.raises(UserError, match=r"a.csv, line 3: wrong number of fields: 1"):
        list(require_rows(path, CLIPS))
