"""The manifest of a prepared dataset: every file with its size and SHA-256."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from data.common.errors import UserError
from data.storage.fingerprints import file_digest

INFO, FEATURES = "dataset_info.json", "features.json"
MANIFEST, SKIPPED = "manifest.json", "skipped.jsonl"


def read_manifest(out: Path) -> dict[str, Any] | None:
    """Return the manifest of a prepared dataset; None if there is none."""
    path = out / MANIFEST
    return read_json(path) if path.exists() else None


def read_json(path: Path) -> dict[str, Any]:
    """Read a file of a prepared dataset.

    Raises:
        UserError: if it is not JSON.
    """
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"{path} is damaged ({error}): remove it and prepare again") from None
    return found


def fingerprint(manifest: Mapping[str, Any]) -> str:
    """Return 16 hex digits that change with the content of a prepared dataset."""
    digests = [[file, note["sha256"]] for file, note in manifest["shards"].items()]
    return hashlib.sha256(json.dumps(digests).encode()).hexdigest()[:16]


def check(out: Path) -> Iterator[str]:
    """Yield a line for each damaged file of a prepared dataset.

    Raises:
        UserError: if there is no prepared dataset.
    """
    manifest = read_manifest(out)
    if manifest is None:
        raise UserError(f"no prepared dataset in {out}: it has no {MANIFEST}")
    if not (out / INFO).exists():
        yield f"{INFO}: missing: the dataset is not finished"
    wrong = dict(wrong_sizes(out, manifest))
    yield from (f"{file}: {what}" for file, what in wrong.items())
    expected = {**manifest["shards"], **manifest["files"]}
    for file, note in expected.items():
        if file not in wrong and file_digest(out / file) != note["sha256"]:
            yield f"{file}: its content has changed"
    for path in sorted(out.glob("*.tfrecord-*")):
        if path.name not in expected:
            yield f"{path.name}: is not in the manifest"


def wrong_sizes(out: Path, manifest: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the files that are missing or of a wrong size, with a message."""
    for file, note in {**manifest["shards"], **manifest["files"]}.items():
        path = out / file
        if not path.is_file():
            yield file, "missing"
        elif (size := path.stat().st_size) != note["size"]:
            yield file, f"{size:,} bytes instead of {note['size']:,}"
