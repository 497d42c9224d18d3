"""Where an export lies, and what it says of itself. Needs neither TensorFlow nor Keras."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from data.common.errors import UserError

LAYOUT = "a folder with saved_model.pb, one with versions 1, 2, …, or a run directory"


def versions(folder: Path) -> dict[int, Path]:
    """Return the versions in a folder, as servers find them: subfolders named by a number.

    A folder that is not there, or that cannot be read, has none.
    """
    try:
        found = [path for path in folder.iterdir() if re.fullmatch("[0-9]{1,18}", path.name)]
    except OSError:
        return {}
    return {int(path.name): path for path in found if (path / "saved_model.pb").is_file()}


def model_folder(path: Path) -> Path:
    """Return the folder of versions meant by `path`: itself, or the `export` of a run directory.

    Raises:
        UserError: if no version is in either.
    """
    if not path.exists():
        raise UserError(f"there is no export at {path}: no such file or folder")
    for folder in (path, path / "export"):
        if versions(folder):
            return folder
    raise UserError(f"{path} is no export: expected {LAYOUT} with export/ in it")


def find_version(path: Path) -> Path:
    """Return the version's folder meant by `path`: itself, or the newest of `model_folder`.

    Raises:
        UserError: if there is none.
    """
    if (path / "saved_model.pb").is_file():
        return path
    found = versions(model_folder(path))
    return found[max(found)]


def model_name(folder: Path) -> str:
    """Return what servers call the model whose versions a folder holds.

    >>> model_name(Path("runs/holiday/export")), model_name(Path("models/captioner"))
    ('holiday', 'captioner')
    """
    folder = folder.absolute()
    name = folder.parent.name if folder.name == "export" else folder.name
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.") or "model"


def read_info(folder: Path) -> dict[str, Any]:
    """Return what a version's `assets.extra/wordreel.json` says.

    Raises:
        UserError: if it is not there.
    """
    path = folder / "assets.extra" / "wordreel.json"
    try:
        info: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(
            f"{folder} is a SavedModel, but no export of Wordreel: {path} is missing"
        ) from None
    return info
