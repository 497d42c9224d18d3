"""Summary of a prepared dataset: counts, sizes, words and labels as text, samples as a page."""

from __future__ import annotations

import itertools
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from tensorflow_datasets.proto import tf_example_pb2

from data.sharding.annotation_checks import Tally, TextOptions
from data.sharding.datasets import preparable
from data.sharding.findings import as_text
from data.sharding.shards import WorkFolder
from data.sharding.work_items import read_items
from data.sharding.write_dataset import Plan
from pipelines.reports.gallery import Card, page
from pipelines.reports.thumbnails import thumbnail

SAMPLES, FRAMES = 12, 4  # samples per split, frames per clip
SHAPES = 5  # sizes of images in a line


def describe(place: WorkFolder, plan: Plan) -> str:
    """Return the summary: a line for each split and for sizes, then what `wordreel check` counts.

    Args:
        place: the folder with the items of the shards.
        plan: the shards and their notes.
    """
    dataset, notes = preparable(plan.job["dataset"]), plan.notes
    left_out = {problem.file for problem in plan.problems if problem.bad}
    tally = Tally(dataset.unit, dataset.texts, TextOptions())
    lines = [dataset.name]
    for split in dict.fromkeys(shard.split for shard in plan.shards):
        own = [note for note in notes if note["split"] == split]
        count = sum(note["examples"] for note in own)
        megabytes = sum(note["size"] for note in own) / 1e6
        lines.append(f"{split}: {count:,} {dataset.unit}, {megabytes:,.1f} MB, {len(own)} shards")
    for shard in plan.shards:
        for item in read_items(place.path(shard.key, ".items"))[1]:
            if item.entry.file not in left_out:
                tally.add(item.entry)
    lines += _shapes(notes)
    return "\n".join(lines) + "\n" + as_text(tally.findings())


def _shapes(notes: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Yield a line with the most frequent sizes of images, or of frames and their number."""
    shapes = Counter[str]()
    for note in notes:
        shapes.update(note["shapes"])
    frequent = [f"{shape} ({count:,})" for shape, count in shapes.most_common(SHAPES)]
    if frequent:
        others = len(shapes) - len(frequent)
        yield f"sizes: {', '.join(frequent)}{f' and {others:,} others' * bool(others)}"


def samples_page(place: WorkFolder, plan: Plan, text: str) -> str:
    """Return a page with the summary and the first examples of each split.

    They are random: the order of a split is that of the hashes of its ids.
    """
    dataset, shards = preparable(plan.job["dataset"]), plan.shards
    sections = {}
    for split in dict.fromkeys(shard.split for shard in shards):
        own = [place.path(shard.key, ".tfrecord") for shard in shards if shard.split == split]
        records = itertools.islice(itertools.chain.from_iterable(map(_records, own)), SAMPLES)
        sections[f"{split}: samples"] = [
            _card(record, dataset.id_feature, dataset.content) for record in records
        ]
    return page(f"{dataset.name}: prepared dataset", text, sections)


def _records(path: Path) -> Iterator[bytes]:
    """Yield the records of a TFRecord file; TensorFlow's own reader would take seconds to load.

    Each is a length (8 bytes), its checksum (4 bytes), the record, and its checksum (4 bytes).
    """
    with path.open("rb") as file:
        while head := file.read(12):
            yield file.read(int.from_bytes(head[:8], "little"))
            file.seek(4, os.SEEK_CUR)


def _card(record: bytes, id_feature: str, content: str) -> Card:
    stored = tf_example_pb2.Example.FromString(record).features.feature

    def values(name: str) -> list[bytes]:
        return list(stored[name].bytes_list.value) if name in stored else []

    images = values(content)
    chosen = np.unique(np.linspace(0, len(images) - 1, min(FRAMES, len(images))).astype(int))
    lines = [
        text.decode()
        for kind in ("label", "text", "translation", "captions")
        for text in values(kind)
    ]
    return Card(
        values(id_feature)[0].decode(), [thumbnail(images[number]).uri for number in chosen], lines
    )
