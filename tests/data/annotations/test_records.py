"""Annotation tables: found by their names, and JSON in its usual forms."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from data.annotations.records import find_tables, read_json_records
from data.common.errors import UserError
from tests.support.source_files import fill

ROWS = [{"image": "a.jpg", "caption": "a dog"}, {"image": "b.jpg", "caption": "a cat"}]


def found(source: Path) -> list[tuple[str, str | None]]:
    tables = find_tables(source, "label file", ["labels", "captions"])
    return [(path.relative_to(source).as_posix(), split) for path, split in tables]


def test_tables_are_those_of_a_name_or_of_splits_or_the_only_one(tmp_path: Path) -> None:
    assert found(tmp_path) == []
    fill(tmp_path, {"My labels.CSV": "x", "__MACOSX/labels.csv": "x", "notes.txt": "x y"})
    assert found(tmp_path) == [("My labels.CSV", None)]
    fill(tmp_path, {"fra.txt": "a\tb"})
    assert found(tmp_path) == []  # two of other names
    fill(tmp_path, {"meta/train.txt": "a list", "meta/test.json": {"a": ["b"]}})  # of Food-101
    assert found(tmp_path) == []
    fill(tmp_path, {"set/train.ndjson": "x", "set/Dev.csv.gz": "x", "set/val.tsv": "x"})
    assert found(tmp_path) == [("set/train.ndjson", "train"), ("set/val.tsv", "validation")]
    fill(tmp_path, {"captions.txt": "x", "labels.tsv": "x"})
    assert found(tmp_path) == [("labels.tsv", None), ("captions.txt", None)]
    fill(tmp_path, {"labels.csv": "x"})
    with pytest.raises(UserError, match=r"labels.csv and labels.tsv: keep one label file"):
        found(tmp_path)


@pytest.mark.parametrize(
    "content",
    [
        ROWS,
        json.dumps(ROWS, indent=1),
        "\n".join(map(json.dumps, ROWS)),
        {"a.jpg": "a dog", "b.jpg": "a cat"},
        {"image": {"0": "a.jpg", "1": "b.jpg"}, "caption": {"0": "a dog", "1": "a cat"}},
    ],
)
def test_json_in_its_usual_forms(tmp_path: Path, content: Any) -> None:
    fill(tmp_path, {"a.json": content})
    records = read_json_records(tmp_path / "a.json", ["image", "caption"])
    assert [record for _, record in records] == ROWS
