"""Folders of pictures: names as caption files write them, places as the disk has them."""

from __future__ import annotations

import unicodedata
from pathlib import Path

from data.annotations.scan import key_of, scan


def test_names_are_composed_and_places_are_what_the_disk_has(tmp_path: Path) -> None:
    apart = unicodedata.normalize("NFD", "é.jpg")
    (tmp_path / "images" / "deep").mkdir(parents=True)
    for name in ("a.jpg", f"deep/{apart}"):
        (tmp_path / "images" / name).touch()
    pictures = scan(tmp_path / "images")
    assert pictures.files == {"a.jpg": "a.jpg", "deep/é.jpg": f"deep/{apart}"}
    assert scan(tmp_path / "images", ["deep"]).files == {"deep/é.jpg": f"deep/{apart}"}
    assert scan(tmp_path / "images", ["."]).files == pictures.files
    assert key_of("images/a.jpg", pictures) == "a.jpg"
    assert key_of(f"deep/{apart}", pictures) == "deep/é.jpg"


def test_a_name_and_its_place_are_one_text_in_memory(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").touch()
    pictures = scan(tmp_path)
    ((name, place),) = pictures.files.items()
    assert name is place
    assert key_of("".join(["a", ".jpg"]), pictures) is place
