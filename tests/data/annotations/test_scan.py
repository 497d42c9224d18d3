"""Media folders: names as in annotation files, paths as on disk."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest

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


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ("3.jpg", "3.JPG"),
        ("5", "5.jpg"),
        ("3", "3.JPG"),
        ("7.jpg", "007.jpg"),
        ("7", "007.jpg"),
        ("/home/me/other/5.jpg", "5.jpg"),
        (r"C:\photos\images\5.jpg", "5.jpg"),
        (r"C:\photos\5.jpg", "5.jpg"),
        ("../images/5.jpg", "5.jpg"),
        ("../other/5.jpg", "../other/5.jpg"),
        (".", "."),
        ("set/images/5.jpg", "5.jpg"),
        ("images/deep/Dog%20one.jpg", "deep/dog one.jpg"),
        ("dog%20one.jpg", "deep/dog one.jpg"),
        ("deep/dog one", "deep/dog one.jpg"),
        ("train/5.jpg", "train/5.jpg"),  # of another folder
        ("same.jpg", "same.jpg"),  # one of two
        ("4.jpg", "4.jpg"),
        ("100%.jpg", "100%.jpg"),
    ],
)
def test_a_file_is_found_under_the_names_that_tables_use(
    tmp_path: Path, given: str, found: str
) -> None:
    names = ["3.JPG", "5.jpg", "007.jpg", "deep/dog one.jpg", "a/same.jpg", "b/same.jpg"]
    for name in [*names, "4.png", "100%.jpg"]:
        path = tmp_path / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    assert scan(tmp_path / "images").name_of(given) == found


def test_names_that_differ_in_normal_form_only_are_two_files(tmp_path: Path) -> None:
    whole, apart = (unicodedata.normalize(form, "é.jpg") for form in ("NFC", "NFD"))
    for name in (whole, apart):
        (tmp_path / name).write_text(name, encoding="utf-8")
    images = scan(tmp_path)
    assert images.files == {whole: whole, apart: apart}
    assert [images.name_of(name) for name in (whole, apart)] == [whole, apart]


def test_links_to_files_elsewhere_are_read_and_broken_ones_are_not(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "a.jpg").touch()
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "b.jpg").symlink_to(tmp_path / "elsewhere" / "a.jpg")
    (tmp_path / "images" / "c.jpg").symlink_to(tmp_path / "elsewhere" / "none.jpg")
    (tmp_path / "images" / "more").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    assert set(scan(tmp_path / "images").files) == {"b.jpg", "more/a.jpg"}
