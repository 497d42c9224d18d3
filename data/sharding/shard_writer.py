"""Make one shard: read its items and write a file of TFDS examples."""

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
from data.sharding.datasets import preparable
from data.sharding.work_items import Item, read_items
from data.storage.dataset_info import Dataset
from data.storage.fingerprints import entry_state

BATCH = 32  # examples that an encoder computes together
NO_ITEM = -1  # the current item when there is none

# Encoded images -> their features, float16 `[images, cells, depth]`.
Encode = Callable[[Sequence[bytes]], Any]


def features(job: Mapping[str, Any]) -> tfds.features.FeaturesDict:
    """Return the features of a job's examples."""
    dataset = preparable(job["dataset"])
    stored = dataset.features()
    if encoder := job["encoder"]:
        if not job["pixels"]:
            del stored[dataset.content]
        shape = encoder["shape"] if dataset.content == "image" else [None, *encoder["shape"]]
        # As bytes: the format's own floats take 32 bits each.
        stored["features"] = tfds.features.Tensor(shape=shape, dtype=np.float16, encoding="bytes")
    return tfds.features.FeaturesDict(stored)


def write_shard(
    work: Path, key: str, crashing: Mapping[int, str], encode: Encode | None = None
) -> None:
    """Make a shard of the job in `work`: `KEY.tfrecord`, then `KEY.json`, its note.

    `KEY.current` contains the number of the current item: if this process dies, it names the cause.

    Args:
        work: the folder `OUT/.work`.
        key: of the shard.
        crashing: items that crash the process that reads them: number in the shard → reason.
        encode: computes the features that are stored; None: none are.

    Raises:
        UserError: if a file has changed since the job began.
        OSError: if the disk is full.
    """
    import tensorflow as tf  # slow to import: planning a job needs `features` only

    job = json.loads((work / "job.json").read_text())
    split, items = read_items(work / f"{key}.items")
    dataset, stored = preparable(job["dataset"]), features(job)
    skipped: list[Problem] = []
    shapes = Counter[str]()
    examples = size = 0
    path, partial = work / f"{key}.tfrecord", work / f"{key}.partial"
    with (work / f"{key}.current").open("wb", buffering=0) as current:
        loaded = _loaded(items, dataset, job["options"], crashing, current.fileno(), skipped)
        try:
            with tf.io.TFRecordWriter(str(partial)) as writer:
                for example in _encoded(loaded, dataset.content, encode):
                    if dataset.content:
                        shapes[_shape(example[dataset.content])] += 1
                    serialized = stored.serialize_example({name: example[name] for name in stored})
                    # TFDS writes the fields in an order that differs from process to process.
                    fields = tf_example_pb2.Example.FromString(serialized)
                    record = fields.SerializeToString(deterministic=True)
                    writer.write(record)
                    examples += 1
                    size += len(record)
        except tf.errors.ResourceExhaustedError:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(partial)) from None
        except tf.errors.OpError as error:
            raise OSError(None, error.message, str(partial)) from None
    with partial.open("rb") as file:
        os.fsync(file.fileno())
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    os.replace(partial, path)
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
    (work / f"{key}.current").unlink()


def _loaded(
    items: Sequence[Item],
    dataset: Dataset,
    options: Mapping[str, Any],
    crashing: Mapping[int, str],
    current: int,
    skipped: list[Problem],
) -> Iterator[dict[str, Any]]:
    """Yield the examples that can be read; append the others to `skipped`."""
    for number, item in enumerate(items):
        entry, where = item.entry, item.entry.where
        reason = f"undecodable: {crashing[number]}" if number in crashing else ""
        if isinstance(item.digest, int):
            reason = reason or f"unreadable: {os.strerror(item.digest)}"
        if reason:
            skipped.append(Problem(entry.file, reason, where))
            continue
        os.pwrite(current, b"%8d" % number, 0)
        try:
            found = dataset.load(entry, options)
        except UserError as error:
            skipped.append(Problem(entry.file, f"undecodable: {error}", where))
            continue
        except OSError as error:
            raise UserError(f"cannot read {where} any more: {error.strerror}") from None
        finally:
            os.pwrite(current, b"%8d" % NO_ITEM, 0)
            if item.file_state is not None and entry_state(entry) != item.file_state:
                raise UserError(f"{where} was changed while it was read: prepare again")
        skipped += [Problem(entry.file, remark, where, bad=False) for remark in found.remarks]
        yield found.example


def _encoded(
    examples: Iterator[dict[str, Any]], content: str, encode: Encode | None
) -> Iterator[dict[str, Any]]:
    """Yield examples with their features, computed for `BATCH` examples at a time."""
    if encode is None:
        yield from examples
        return
    while batch := list(itertools.islice(examples, BATCH)):
        images = [e[content] if isinstance(e[content], list) else [e[content]] for e in batch]
        rows, first = encode([image for each in images for image in each]), 0
        for example, each in zip(batch, images, strict=True):
            own = rows[first : first + len(each)]
            first += len(each)
            yield {**example, "features": own if isinstance(example[content], list) else own[0]}


def _shape(stored: bytes | Sequence[bytes]) -> str:
    """Return "width × height" of an image, preceded by the number of frames of a clip."""
    first, frames = (stored, "") if isinstance(stored, bytes) else (stored[0], f"{len(stored)} × ")
    width, height = Image.open(BytesIO(first)).size
    return f"{frames}{width} × {height}"
