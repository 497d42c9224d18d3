"""Summary of a prepared dataset: counts, sizes, words and labels as text, samples as a page."""

from __future__ import annotations

import itertools
import os
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from tensorflow_datasets.proto import tf_example_pb2

from data.media.words import tokenize
from data.sharding.datasets import preparable
from data.sharding.shards import WorkFolder
from data.sharding.work_items import read_items
from data.sharding.write_dataset import Plan
from pipelines.reports.gallery import Card, page
from pipelines.reports.thumbnails import thumbnail

SAMPLES, FRAMES = 12, 4  # samples per split, frames per clip
LABELS, SHAPES = 30, 5  # the largest numbers of lines
MIN_COUNT = 5  # the default of a run


class _Counts:
    """Word frequencies and lengths of the captions (or texts) of a split."""

    def __init__(self, captions: Iterable[str] = ()) -> None:
        self.words, self.lengths = Counter[str](), array("I")
        for caption in captions:
            self.add(caption)

    def add(self, caption: str) -> None:
        words = tokenize(caption)
        self.words.update(words)
        self.lengths.append(len(words))


def describe(place: WorkFolder, plan: Plan) -> str:
    """Return the summary: a line for each split, then for shapes, words and labels.

    Args:
        place: the folder with the items of the shards.
        plan: the shards and their notes.
    """
    dataset, notes = preparable(plan.job["dataset"]), plan.notes
    left_out = {problem.file for problem in plan.problems if problem.bad}
    lines = [dataset.name]
    splits = dict.fromkeys(shard.split for shard in plan.shards)
    texts = {text: {split: _Counts() for split in splits} for text in dataset.texts}
    labels = {split: Counter[str]() for split in splits}
    for split in splits:
        own = [note for note in notes if note["split"] == split]
        count = sum(note["examples"] for note in own)
        megabytes = sum(note["size"] for note in own) / 1e6
        lines.append(f"{split}: {count:,} {dataset.unit}, {megabytes:,.1f} MB, {len(own)} shards")
    for shard in plan.shards:
        for entry in (item.entry for item in read_items(place.path(shard.key, ".items"))[1]):
            if entry.file in left_out:
                continue
            for number, text in enumerate(dataset.texts):
                for caption in entry.captions[number :: len(dataset.texts)]:
                    texts[text][shard.split].add(caption)
            if entry.label:
                labels[shard.split][entry.label] += 1
    lines += _shapes(notes)
    for text, by_split in texts.items():
        lines += _words(f"{text}s", by_split)
    lines += _labels(labels)
    return "\n".join(lines) + "\n"


def _shapes(notes: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Yield a line with the most frequent sizes of images, or of frames and their number."""
    shapes = Counter[str]()
    for note in notes:
        shapes.update(note["shapes"])
    frequent = [f"{shape} ({count:,})" for shape, count in shapes.most_common(SHAPES)]
    if frequent:
        others = len(shapes) - len(frequent)
        yield f"sizes: {', '.join(frequent)}{f' and {others:,} others' * bool(others)}"


def _words(kind: str, counts: Mapping[str, _Counts]) -> Iterator[str]:
    """Yield a line per split: the lengths of captions (or texts), the share of known words."""
    train = counts.get("train", _Counts())
    vocabulary = {word for word, count in train.words.items() if count >= MIN_COUNT}
    for split, its in counts.items():
        if not its.lengths:
            continue
        low, middle, high, top = np.percentile(its.lengths, [0, 50, 95, 100]).astype(int)
        known = sum(count for word, count in its.words.items() if word in vocabulary)
        yield (
            f"words in {split}: {len(its.lengths):,} {kind} of {low} to {top} words, median "
            f"{middle}, 95th percentile {high}; {known / max(1, its.words.total()):.1%} of the "
            f"words are among the {len(vocabulary):,} that occur {MIN_COUNT} times in train"
        )


def _labels(labels: Mapping[str, Counter[str]]) -> Iterator[str]:
    """Yield a line with a bar for the share of each label in each split."""
    for split, counts in labels.items():
        total = counts.total()
        for number, (label, count) in enumerate(counts.most_common()):
            if number == LABELS:
                yield f"  and {len(counts) - LABELS:,} more labels"
                break
            bar = "█" * max(1, round(20 * count / counts.most_common(1)[0][1]))
            yield f"{split} {label:20.40} {count:7,} {count / total:6.1%} {bar}"


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
