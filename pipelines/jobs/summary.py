"""What a prepared dataset holds: counts, sizes, words and labels as text, samples as a page."""

from __future__ import annotations

import itertools
import os
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tensorflow_datasets.proto import tf_example_pb2

from data.annotations.entries import Problem
from data.media.vocabulary import tokenize
from data.sharding.dataset_kinds import kind_of
from data.sharding.shards import Shard, Workplace
from data.sharding.work_items import read_items
from pipelines.reports.gallery import Card, Section, page
from pipelines.reports.thumbnails import thumbnail

SAMPLES, FRAMES = 12, 4  # of a split, of a clip
LABELS, SHAPES = 30, 5  # lines at most
MIN_COUNT = 5  # as a run's, unless told otherwise


class _Told:
    """Captions (or texts) of a split, counted: how often each word comes, the length of each."""

    def __init__(self, captions: Iterable[str] = ()) -> None:
        self.words, self.lengths = Counter[str](), array("I")
        for caption in captions:
            self.add(caption)

    def add(self, caption: str) -> None:
        words = tokenize(caption)
        self.words.update(words)
        self.lengths.append(len(words))


def describe(
    place: Workplace,
    dataset: str,
    shards: Sequence[Shard],
    notes: Sequence[Mapping[str, Any]],
    problems: Iterable[Problem],
) -> str:
    """Return the summary: a line for each split, then for shapes, words and labels.

    Args:
        place: where the items of the shards are written down.
        dataset: its name.
        shards: what was to be stored.
        notes: what became of each.
        problems: what was left out.
    """
    kind, left_out = kind_of(dataset), {problem.file for problem in problems if problem.bad}
    lines = [dataset]
    splits = dict.fromkeys(shard.split for shard in shards)
    told = {side: {split: _Told() for split in splits} for side in kind.sides}
    labels = {split: Counter[str]() for split in splits}
    for split in splits:
        own = [note for note in notes if note["split"] == split]
        count = sum(note["examples"] for note in own)
        megabytes = sum(note["size"] for note in own) / 1e6
        lines.append(f"{split}: {count:,} {kind.unit}, {megabytes:,.1f} MB, {len(own)} shards")
    for shard in shards:
        for entry in (item.entry for item in read_items(place.path(shard.key, ".items"))[1]):
            if entry.file in left_out:
                continue
            for number, side in enumerate(kind.sides):
                for caption in entry.captions[number :: len(kind.sides)]:
                    told[side][shard.split].add(caption)
            if entry.label:
                labels[shard.split][entry.label] += 1
    lines += _shapes(notes)
    for side, by_split in told.items():
        lines += _words(f"{side}s", by_split)
    lines += _labels(labels)
    return "\n".join(lines) + "\n"


def _shapes(notes: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Say how large most pictures are, or how many frames most clips have."""
    shapes = Counter[str]()
    for note in notes:
        shapes.update(note["shapes"])
    most = [f"{shape} ({count:,})" for shape, count in shapes.most_common(SHAPES)]
    if most:
        others = len(shapes) - len(most)
        yield f"sizes: {', '.join(most)}{f' and {others:,} others' * bool(others)}"


def _words(side: str, told: Mapping[str, _Told]) -> Iterator[str]:
    """Say how long captions (or texts) are, and how many of their words a model would know."""
    train = told.get("train", _Told())
    often = {word for word, count in train.words.items() if count >= MIN_COUNT}
    for split, its in told.items():
        if not its.lengths:
            continue
        low, middle, high, top = np.percentile(its.lengths, [0, 50, 95, 100]).astype(int)
        known = sum(count for word, count in its.words.items() if word in often)
        yield (
            f"words in {split}: {len(its.lengths):,} {side} of {low} to {top} words, half of at "
            f"most {middle}, 95 % of at most {high}; {known / max(1, its.words.total()):.1%} "
            f"of the words are among the {len(often):,} that training has {MIN_COUNT} times"
        )


def _labels(labels: Mapping[str, Counter[str]]) -> Iterator[str]:
    """Draw a bar for the share of each label in each split."""
    for split, counts in labels.items():
        total = counts.total()
        for number, (label, count) in enumerate(counts.most_common()):
            if number == LABELS:
                yield f"  and {len(counts) - LABELS:,} more labels"
                break
            bar = "█" * max(1, round(20 * count / counts.most_common(1)[0][1]))
            yield f"{split} {label:20.40} {count:7,} {count / total:6.1%} {bar}"


def sheet(place: Workplace, job: Mapping[str, Any], shards: Sequence[Shard], text: str) -> str:
    """Return a page with the summary and, of each split, the first examples: random ones.

    The order of a split is that of the hashes of its ids.
    """
    kind, sections = kind_of(job["dataset"]), []
    for split in dict.fromkeys(shard.split for shard in shards):
        own = [place.path(shard.key, ".tfrecord") for shard in shards if shard.split == split]
        records = itertools.islice(itertools.chain.from_iterable(map(_records, own)), SAMPLES)
        cards = [_card(record, kind.name, kind.field) for record in records]
        sections.append(Section(f"{split}: samples", cards))
    return page(f"{job['dataset']}: what was prepared", text, sections)


def _records(path: Path) -> Iterator[bytes]:
    """Yield the records of a TFRecord file: TensorFlow, which has a reader, takes seconds to load.

    Each is its length, 8 bytes, a checksum of that, 4 bytes, the record, and its checksum.
    """
    with path.open("rb") as file:
        while head := file.read(12):
            yield file.read(int.from_bytes(head[:8], "little"))
            file.seek(4, os.SEEK_CUR)


def _card(record: bytes, name: str, field: str) -> Card:
    stored = tf_example_pb2.Example.FromString(record).features.feature

    def values(name: str) -> list[bytes]:
        return list(stored[name].bytes_list.value) if name in stored else []

    pictures = values(field)
    chosen = np.unique(np.linspace(0, len(pictures) - 1, min(FRAMES, len(pictures))).astype(int))
    lines = [
        text.decode()
        for kind in ("label", "text", "translation", "captions")
        for text in values(kind)
    ]
    return Card(
        values(name)[0].decode(), [thumbnail(pictures[number]).uri for number in chosen], lines
    )
