"""Files of a source: found by name, read in the usual encodings."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from data.annotations.source_files import find, read_json, read_lines, read_text
from data.common.errors import UserError
from tests.support.source_files import fill


def test_what_archivers_leave_is_not_taken_for_the_folder(tmp_path: Path) -> None:
    fill(
        tmp_path, {"__MACOSX/images/._a.jpg": b"x", "set/images/a.jpg": b"x", ".git/images/b": b""}
    )
    assert find(tmp_path, ["images"], folder=True) == tmp_path / "set/images"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("packed", [False, True])
def test_text_is_read_in_every_unicode_encoding(
    tmp_path: Path, encoding: str, packed: bool
) -> None:
    text = "a dog\nein Hund läuft\u2028weiter\r\n\n犬 🐕\n"
    data = text.encode(encoding)
    path = tmp_path / ("a.txt.gz" if packed else "a.txt")
    path.write_bytes(gzip.compress(data) if packed else data)
    assert read_text(path) == text
    assert list(read_lines(path)) == [
        (1, "a dog"),
        (2, "ein Hund läuft\u2028weiter"),
        (4, "犬 🐕"),
    ]


@pytest.mark.parametrize(
    "text", ["一只狗在沙滩上奔跑\n" * 50, "собака бежит по песку\n" * 50, "", "a"]
)
def test_other_scripts_in_utf_8_are_not_taken_for_utf_16(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.txt").write_text(text, encoding="utf-8")
    assert read_text(tmp_path / "a.txt") == text


def test_a_pointer_of_git_lfs_is_not_json(tmp_path: Path) -> None:
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"
    fill(tmp_path, {"captions.json": pointer})
    with pytest.raises(UserError, match=r"captions\.json is a pointer of Git LFS, not the file"):
        read_json(tmp_path / "captions.json")


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("line", ["一只狗在沙滩上奔跑,狗\n", "собака бежит по песку\n"])
def test_other_scripts_in_utf_16_are_recognized(tmp_path: Path, line: str, encoding: str) -> None:
    (tmp_path / "a.txt").write_text(50 * line, encoding=encoding)
    assert read_text(tmp_path / "a.txt") == 50 * line
