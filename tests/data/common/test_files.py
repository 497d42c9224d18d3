"""Atomic writes: the whole new file, or the old one unchanged."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from data.common.files import atomic_write


def test_text_and_bytes_are_written_and_folders_created(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "a.txt"
    with atomic_write(path) as file:
        file.write("größe 狗\n")
    assert path.read_bytes() == "größe 狗\n".encode()
    with atomic_write(path, "wb") as file:
        file.write(b"\xff\x00")
    assert path.read_bytes() == b"\xff\x00"
    assert [each.name for each in path.parent.iterdir()] == ["a.txt"]


def test_readers_see_the_old_file_until_the_block_ends(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with atomic_write(path) as file:
        file.write("new")
        file.flush()
        assert path.read_text() == "old"
    assert path.read_text() == "new"


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_exception_leaves_the_old_file_and_no_other(
    tmp_path: Path, error: type[BaseException]
) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(error), atomic_write(path) as file:
        file.write("half")
        raise error
    assert path.read_text() == "old"
    assert [each.name for each in tmp_path.iterdir()] == ["a.txt"]


def test_a_full_disk_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"), atomic_write(path) as file:
        file.write("new")
    assert path.read_text() == "old"
    assert [each.name for each in tmp_path.iterdir()] == ["a.txt"]


def test_lone_surrogates_are_escaped(tmp_path: Path) -> None:
    with atomic_write(tmp_path / "a.txt") as file:
        file.write("\udcff.jpg")
    assert (tmp_path / "a.txt").read_text() == r"\udcff.jpg"


def test_permissions_follow_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        with atomic_write(tmp_path / "a.txt") as file:
            file.write("x")
        assert os.umask(0o027) == 0o027
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a.txt").stat().st_mode) == 0o640
