"""Captions in COCO's JSON format, of images or clips, under any file name.

    {"images": [{"id": 1, "file_name": "a.jpg"}],
     "annotations": [{"id": 1, "image_id": 1, "caption": "A dog."}]}

Clips may be listed as "videos", with "video_id"; captions may stand in the images, as "sentences"
with "raw" (Karpathy & Fei-Fei 2015). Captions marked "is_rejected" (VizWiz) are left out. The split
comes from the entry of the image, else from the name of the file or its folder.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from data.annotations.entries import Problem, Row
from data.annotations.records import has_json_lines
from data.annotations.source_files import HIDDEN, read_json
from data.annotations.splits import SPLITS, split_of_path

_FILES = ("file_name", "filename", "file", "path", "video", "name", "coco_url", "url")
_IDS = ("id", "image_id", "video_id", "imgid")
_OWNERS = ("image_id", "video_id", "imgid", "id")
_TEXTS = ("caption", "raw")


def read_coco_json(source: Path) -> list[Row | Problem]:
    """Return the rows of all JSON files in this format in a folder and the folders in it."""
    paths = sorted({*source.glob("*.json"), *source.glob("*/*.json")})
    rows = list[Row | Problem]()
    for path in paths:
        if not any(part.startswith(HIDDEN) for part in path.relative_to(source).parts):
            rows += read_coco_file(path, path.relative_to(source))
    return rows


def read_coco_file(path: Path, name: Path, folder: str = "") -> Iterator[Row | Problem]:
    """Yield the rows of a JSON file; none if it is of another format.

    Args:
        path: the file.
        name: its name, which may contain a split.
        folder: of the images, with "/" at its end: COCO's numbers are the ids; "": file names are.
    """
    content = None if has_json_lines(path) else read_json(path)
    if not isinstance(content, dict):
        return
    listed = content.get("images", content.get("videos"))
    if not isinstance(listed, list):
        return
    nested = [
        {**text, "image_id": _first(each, _IDS + _FILES)}
        for each in listed
        if isinstance(each, dict) and isinstance(each.get("sentences"), list)
        for text in each["sentences"]
        if isinstance(text, dict)
    ]
    captions = content.get("annotations", content.get("sentences", nested))
    if not isinstance(captions, list):
        return
    where, split = path.name, split_of_path(str(name))
    if not any(isinstance(each, dict) and _first(each, _TEXTS) for each in captions):
        reason = f"no captions: its {len(listed):,} images or clips are left out"
        yield Problem(path.name, reason, where, bad=False)
        return
    files = dict[Any, Row]()
    for number, each in enumerate(listed):
        found = each if isinstance(each, dict) else {}
        file, own = _first(found, _FILES), _first(found, _IDS + _FILES)
        if not isinstance(file, str) or own is None:
            yield Problem(f"{where}[{number}]", f"no file_name or id: {each!r:.60}", where)
            continue
        part = SPLITS.get(str(found.get("split", "")).lower(), split)
        files[str(own)] = Row(folder + file, None, part, where, str(own) if folder else None)
        yield files[str(own)]
    for each in captions:
        owner = str(_first(each, _OWNERS)) if isinstance(each, dict) else ""
        row = files.get(owner, Row(folder + owner, None, split, where))
        text = _first(each, _TEXTS) if isinstance(each, dict) else None
        if not isinstance(text, str):
            yield Problem(row.file or where, f"no caption: {each!r:.60}", where)
        elif each.get("is_rejected"):
            yield Problem(row.file, "caption rejected by its corpus", where, bad=False)
        else:
            yield row._replace(caption=text, number=str(each.get("id", "")))


def _first(record: dict[str, Any], names: tuple[str, ...]) -> Any:
    return next((record[name] for name in names if record.get(name) is not None), None)
