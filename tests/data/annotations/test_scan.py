"""Media folders: names as in annotation files, paths as on disk."""

from __future__ import annotations

import unicodedata
from pathlib import Path

from data.annotations.scan import scan


def test_names_are_in_nfc_and_paths_are_as_on_disk(tmp_path: Path) -> None:
    apart = unicodedata.normalize("NFD", "é.jpg")
    (tmp_path / "images" / "deep").mkdir(parents=True)
    for name in ("a.jpg", f"deep/{apart}"):
        (tmp_path / "images" / name).touch()
    images = scan(tmp_path / "images")
    assert images.files == {"a.jpg": "a.jpg", "deep/é.jpg": f"deep/{apart}"}
    assert scan(tmp_path / "images", ["deep"]).files == {"deep/é.jpg": f"deep/{apart}"}
    assert scan(tmp_path / "images", ["."]).files == images.files
    assert images.name_of("images/a.jpg") == "a.jpg"
    assert images.name_of(f"deep/{apart}") == "deep/é.jpg"


def test_a_name_and_its_path_are_one_string_in_memory(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").touch()
    images = scan(tmp_path)
    ((name, place),) = images.files.items()
    assert name is place
    assert images.name_of("".join(["a", ".jpg"])) is place
