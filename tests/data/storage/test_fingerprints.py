"""Fingerprints of files: by name, size and times, and by content."""

from __future__ import annotations

import errno
import hashlib
import os
from pathlib import Path

from data.storage.fingerprints import file_digest, file_state


def test_the_state_changes_with_the_path_size_and_times(tmp_path: Path) -> None:
    file = tmp_path / "a.jpg"
    file.write_bytes(b"one")
    os.utime(file, ns=(10**18, 10**18))
    marks = {file_state(file)}
    assert file_state(file) in marks and len(file_state(file)) == 16
    os.utime(file, ns=(10**18, 10**18 + 1))
    marks.add(file_state(file))
    file.write_bytes(b"four")
    marks.add(file_state(file))
    file.rename(tmp_path / "b.jpg")
    marks.add(file_state(tmp_path / "b.jpg"))
    assert len(marks) == 4


def test_the_content_is_its_sha256(tmp_path: Path) -> None:
    for name in ("a.jpg", "b.jpg"):
        (tmp_path / name).write_bytes(b"abc")
        assert file_digest(tmp_path / name) == hashlib.sha256(b"abc").hexdigest()


def test_a_file_that_cannot_be_read_has_the_error_number(tmp_path: Path) -> None:
    assert file_digest(tmp_path / "missing") == errno.ENOENT
    assert file_digest(tmp_path) == errno.EISDIR
