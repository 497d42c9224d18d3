"""The folders of exports: versions as servers find them."""

from __future__ import annotations

from pathlib import Path

import pytest

from data.common.errors import UserError
from pipelines.export.layout import find_version, model_folder, model_name, read_info, versions


def version(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "saved_model.pb").touch()
    return folder


def test_versions_are_numbered_folders_with_a_model(tmp_path: Path) -> None:
    for name in ("1", "12", "9"):
        version(tmp_path / name)
    (tmp_path / "13").mkdir()
    version(tmp_path / "14.tmp")
    version(tmp_path / "latest")
    (tmp_path / "15").touch()
    assert versions(tmp_path) == {number: tmp_path / str(number) for number in (1, 9, 12)}
    assert versions(tmp_path / "missing") == versions(tmp_path / "15") == {}


def test_a_version_is_found_from_each_of_its_folders(tmp_path: Path) -> None:
    newest = version(tmp_path / "run" / "export" / "10")
    old = version(tmp_path / "run" / "export" / "2")
    assert find_version(old) == old
    for path in (newest.parent, tmp_path / "run"):
        assert model_folder(path) == newest.parent
        assert find_version(path) == newest


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("runs/holiday/export", "holiday"),
        ("models/captioner", "captioner"),
        ("models/größe 2", "gr-e-2"),
        ("/", "model"),
        ("/export", "model"),
    ],
)
def test_model_names_are_valid_in_urls(path: str, name: str) -> None:
    assert model_name(Path(path)) == name


def test_missing_exports_are_errors(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"there is no export at .*absent"):
        model_folder(tmp_path / "absent")
    with pytest.raises(
        UserError, match=r"is not an export: expected a folder with saved_model\.pb"
    ):
        find_version(tmp_path)
    with pytest.raises(UserError, match=r"not an export of Wordreel: .*wordreel\.json is missing"):
        read_info(version(tmp_path / "1"))
