"""Folders of images to prepare, and the prepared datasets."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import pipelines.jobs.beam
from data.images.datasets import ImageDataset
from data.sharding import shards
from data.sharding.shard_writer import write_shard
from pipelines.jobs.prepare import prepare

OPTIONS = {"max_side": 64}


def image_folder(folder: Path, count: int) -> Path:
    (folder / "images").mkdir(parents=True)
    add_images(folder, range(count))
    return folder


def add_images(folder: Path, numbers: range) -> None:
    for number in numbers:
        rng = np.random.default_rng(number)
        pixels = rng.integers(0, 256, (4, 5, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((50, 40)).save(folder / "images" / f"{number}.jpg")
    rows = [f"{path.name},an image of {path.stem}" for path in (folder / "images").iterdir()]
    (folder / "captions.csv").write_text("\n".join(["image,caption", *sorted(rows)]) + "\n")


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Write shards in this process; return a list to which their keys are appended."""
    keys: list[str] = []

    def run(work: Path, missing: list[shards.Shard], unit: str, options: object) -> None:
        for shard in missing:
            write_shard(work, shard.key, {})
            keys.append(shard.key)

    monkeypatch.setattr(pipelines.jobs.beam, "run", run)
    monkeypatch.setattr(ImageDataset, "shard_size", 8)
    return keys


def build(source: Path, out: Path, **options: Any) -> str:
    return prepare("folder", str(source), out, options=OPTIONS, **options)


def content(out: Path) -> dict[str, str]:
    files = [path for path in out.iterdir() if path.is_file()]
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(files)}


def two_workers() -> list[str]:
    runner = "apache_beam.runners.portability.fn_api_runner.FnApiRunner"
    return [f"--runner={runner}", "--direct_num_workers=2", "--direct_running_mode=multi_threading"]
