"""Manifests: every kind of damage is reported with the name of the file."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from data.common.errors import UserError
from data.storage import manifest

SHARD = "x-train.tfrecord-00000-of-00001"


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    files = {SHARD: b"records", "features.json": b"{}"}
    notes = {
        name: {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        for name, data in files.items()
    }
    for name, data in (files | {manifest.INFO: b"{}"}).items():
        (tmp_path / name).write_bytes(data)
    shards = {SHARD: notes.pop(SHARD)}
    (tmp_path / manifest.MANIFEST).write_text(json.dumps({"shards": shards, "files": notes}))
    return tmp_path


def test_an_undamaged_dataset_has_no_findings(dataset: Path) -> None:
    assert list(manifest.check(dataset)) == []


@pytest.mark.parametrize(
    ("name", "data", "line"),
    [
        (SHARD, b"Records", f"{SHARD}: its content has changed"),
        (SHARD, b"record", f"{SHARD}: 6 bytes instead of 7"),
        (SHARD, None, f"{SHARD}: missing"),
        ("features.json", b"[]", "features.json: its content has changed"),
        (manifest.INFO, None, "dataset_info.json: missing: the dataset is not finished"),
        ("y.tfrecord-0", b"", "y.tfrecord-0: is not in the manifest"),
    ],
)
def test_each_damaged_file_is_reported_once(
    dataset: Path, name: str, data: bytes | None, line: str
) -> None:
    if data is None:
        (dataset / name).unlink()
    else:
        (dataset / name).write_bytes(data)
    assert list(manifest.check(dataset)) == [line]


def test_a_missing_or_damaged_manifest_is_an_error(dataset: Path) -> None:
    (dataset / manifest.MANIFEST).write_text('{"shards": ')
    with pytest.raises(UserError, match=r"manifest\.json is damaged .*prepare again"):
        list(manifest.check(dataset))
    (dataset / manifest.MANIFEST).unlink()
    assert manifest.read_manifest(dataset) is None
    with pytest.raises(UserError, match="no prepared dataset in"):
        list(manifest.check(dataset))


def test_the_fingerprint_depends_on_the_shards_only(dataset: Path) -> None:
    found = manifest.read_manifest(dataset)
    assert found is not None
    other = {**found, "files": {}}
    assert manifest.fingerprint(other) == manifest.fingerprint(found)
    assert manifest.fingerprint({"shards": {SHARD: {"sha256": "0"}}}) != manifest.fingerprint(found)
