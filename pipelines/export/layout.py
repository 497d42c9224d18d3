"""The folders of an export and its wordreel.json. Needs neither TensorFlow nor Keras."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from data.common.errors import UserError

LAYOUT = "a folder with saved_model.pb, one with versions 1, 2, …, or a run directory"


def versions(folder: Path) -> dict[int, Path]:
    """Return the versions in a folder as servers find them: subfolders named by a number.

    A folder that is missing or cannot be read has none.
    """
    try:
        found = [path for path in folder.iterdir() if re.fullmatch("[0-9]{1,18}", path.name)]
    except OSError:
        return {}
    return {int(path.name): path for path in found if (path / "saved_model.pb").is_file()}


def model_folder(path: Path) -> Path:
    """Return the folder of versions for `path`: itself, or `export` of a run directory.

    Raises:
        UserError: if neither has a version.
    """
    if not path.exists():
        raise UserError(f"there is no export at {path}: no such file or folder")
    for folder in (path, path / "export"):
        if versions(folder):
            return folder
    raise UserError(f"{path} is not an export: expected {LAYOUT} with export/")


def find_version(path: Path) -> Path:
    """Return the folder of a version for `path`: itself, or the newest of `model_folder`.

    Raises:
        UserError: if there is none.
    """
    if (path / "saved_model.pb").is_file():
        return path
    found = versions(model_folder(path))
    return found[max(found)]


def find_published(folder: Path, info: Mapping[str, object]) -> Path | None:
    """Return the newest version in a folder if its wordreel.json has these entries."""
    found = versions(folder)
    if not found:
        return None
    try:
        own = read_info(found[max(found)])
    except UserError:  # not of Wordreel
        return None
    same = all(own.get(name) == json.loads(json.dumps(value)) for name, value in info.items())
    return found[max(found)] if same else None


def model_name(folder: Path) -> str:
    """Return the name of the model on servers, from its folder of versions.

    >>> model_name(Path("runs/holiday/export")), model_name(Path("models/captioner"))
    ('holiday', 'captioner')
    """
    folder = folder.absolute()
    name = folder.parent.name if folder.name == "export" else folder.name
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.") or "model"


def read_info(folder: Path) -> dict[str, Any]:
    """Read the `assets.extra/wordreel.json` of a version.

    Raises:
        UserError: if it is missing.
    """
    path = folder / "assets.extra" / "wordreel.json"
    try:
        info: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(
            f"{folder} is a SavedModel, but not an export of Wordreel: {path} is missing"
        ) from None
    return info


def input_kind(info: Mapping[str, Any]) -> str:
    """Return the kind of the inputs of an export from its wordreel.json: image, clip or text.

    >>> input_kind({"input": {"image_size": 224, "grid": [7, 7]}})
    'image'
    """
    if "sampling" in info["input"]:
        return "clip"
    return "text" if "vocabulary" in info["input"] else "image"
