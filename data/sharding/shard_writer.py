"""One shard, from its items to a file of TFDS examples: what a worker does."""

from __future__ import annotations

import errno
import hashlib
import itertools
import json
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from PIL import Image
from tensorflow_datasets.proto import tf_example_pb2

from data.annotations.entries import Problem
from data.common.errors import UserError
from data.common.files import atomic_write
from data.sharding.dataset_kinds import Pictures, kind_of
from data.sharding.work_items import Item, read_items
from data.storage.fingerprints import mark

BATCH = 32  # examples that go through an encoder together
NONE = -1  # the number of the item in hand when none is

# The rows of some examples' encoded pictures or frames: float16 `[cells, depth]` a picture.
Encode = Callable[[Sequence[bytes]], Any]


def features(job: Mapping[str, Any]) -> tfds.features.FeaturesDict:
    """Return what an example of a job is made of."""
    kind = kind_of(job["dataset"])
    stored = kind.features()
    if encoder := job["encoder"]:
        if not job["pixels"]:
            del stored[kind.field]
        shape = encoder["shape"] if kind.field == "image" else [None, *encoder["shape"]]
        # As bytes: the format's own floats take 32 bits each.
        stored["features"] = tfds.features.Tensor(shape=shape, dtype=np.float16, encoding="bytes")
    return tfds.features.FeaturesDict(stored)


def write_shard(
    work: Path, key: str, deadly: Mapping[int, str], encode: Encode | None = None
) -> None:
    """Make a shard of the job in `work`: `KEY.tfrecord`, then `KEY.json`, its note.

    The number of the item in hand stands in `KEY.hand`, so that who finds this process dead knows
    which one it died of.

    Args:
        work: the folder `OUT/.work`.
        key: of the shard.
        deadly: what is known to end the process that reads it: number in the shard → how.
        encode: the job's encoder, if it has one.

    Raises:
        UserError: if a file is not what it was when the job began.
        OSError: if the disk is full.
    """
    import tensorflow as tf  # not at the top: what plans a job asks for `features` alone

    job = json.loads((work / "job.json").read_text())
    split, items = read_items(work / f"{key}.items")
    kind, stored = kind_of(job["dataset"]), features(job)
    skipped: list[Problem] = []
    shapes = Counter[str]()
    examples = size = 0
    path, partial = work / f"{key}.tfrecord", work / f"{key}.partial"
    with (work / f"{key}.hand").open("wb", buffering=0) as hand:
        loaded = _loaded(items, kind, job["options"], deadly, hand.fileno(), skipped)
        try:
            with tf.io.TFRecordWriter(str(partial)) as writer:
                for example in _encoded(loaded, kind.field, encode):
                    if kind.field:
                        shapes[_shape(example[kind.field])] += 1
                    record = _serialized(stored, {name: example[name] for name in stored})
                    writer.write(record)
                    examples += 1
                    size += len(record)
        except tf.errors.ResourceExhaustedError:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(partial)) from None
        except tf.errors.OpError as error:
            raise OSError(None, error.message, str(partial)) from None
    _sync(partial)
    os.replace(partial, path)
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    note = {
        "split": split,
        "examples": examples,
        "bytes": size,
        "size": path.stat().st_size,
        "sha256": digest,
        "shapes": dict(sorted(shapes.items())),
        "skipped": [asdict(problem) for problem in skipped],
    }
    with atomic_write(work / f"{key}.json") as note_file:
        json.dump(note, note_file)
    (work / f"{key}.hand").unlink()


def _loaded(
    items: Sequence[Item],
    kind: Pictures,
    options: Mapping[str, Any],
    deadly: Mapping[int, str],
    hand: int,
    skipped: list[Problem],
) -> Iterator[dict[str, Any]]:
    """Yield the examples that can be read; the others go to `skipped`."""
    for number, item in enumerate(items):
        entry, where = item.entry, item.entry.where
        if number in deadly:
            skipped.append(Problem(entry.file, f"undecodable: {deadly[number]}", where))
            continue
        if isinstance(item.digest, int):
            skipped.append(Problem(entry.file, f"unreadable: {os.strerror(item.digest)}", where))
            continue
        os.pwrite(hand, b"%8d" % number, 0)
        try:
            found = kind.load(entry, options)
        except UserError as error:
            skipped.append(Problem(entry.file, f"undecodable: {error}", where))
            continue
        except OSError as error:
            raise UserError(f"cannot read {where} any more: {error.strerror}") from None
        finally:
            os.pwrite(hand, b"%8d" % NONE, 0)
            if item.mark is not None and mark(entry.path) != item.mark:
                raise UserError(f"{where} was changed while it was read: prepare again")
        skipped += [Problem(entry.file, remark, where, bad=False) for remark in found.remarks]
        yield found.example._asdict()


def _encoded(
    examples: Iterator[dict[str, Any]], field: str, encode: Encode | None
) -> Iterator[dict[str, Any]]:
    """Yield examples with their features, computed for `BATCH` of them at a time."""
    if encode is None:
        yield from examples
        return
    while batch := list(itertools.islice(examples, BATCH)):
        pictures = [e[field] if isinstance(e[field], list) else [e[field]] for e in batch]
        rows, first = encode([picture for each in pictures for picture in each]), 0
        for example, each in zip(batch, pictures, strict=True):
            own = rows[first : first + len(each)]
            first += len(each)
            yield {**example, "features": own if isinstance(example[field], list) else own[0]}


def _shape(stored: bytes | Sequence[bytes]) -> str:
    """Return the width and height of a picture, before them the number of frames."""
    first = stored if isinstance(stored, bytes) else stored[0]
    width, height = Image.open(BytesIO(first)).size
    frames = "" if first is stored else f"{len(stored)} × "
    return f"{frames}{width} × {height}"


def _serialized(stored: tfds.features.FeaturesDict, example: Mapping[str, Any]) -> bytes:
    # TFDS leaves the order of the fields to chance, which differs from process to process.
    record = tf_example_pb2.Example.FromString(stored.serialize_example(example))
    return record.SerializeToString(deterministic=True)


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
