"""Pictures as rows of one array on disk: pixels, or features of a frozen backbone.

Each picture is decoded once, and goes through a frozen backbone once; every later run reads the
rows. The frames of clips are pictures like any other. The folder's name is a hash of all that the
rows depend on (the dataset's content, the backbone's weights and preprocessing, the size), so a
changed encoder never meets a stale cache.
A job that was interrupted goes on where it stopped.
"""

from __future__ import annotations

import dataclasses
import fcntl
import hashlib
import itertools
import json
import math
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from data.common.errors import UserError
from data.common.files import atomic_write
from data.common.progress import progress
from data.storage.prepared import StoredImages
from models.backbones.batch_norm_folding import frozen
from models.encoder_head import look
from pipelines.config.crop import Box
from pipelines.inputs.tables import Table
from pipelines.preprocessing.augmentation import Augmentation
from pipelines.preprocessing.resize import decode_picture

VERSION = 1  # of the decoding and resizing below: raise it when they change
BATCH = 32


class RowFunction(NamedTuple):
    """What makes rows of a batch of pictures, and the shape and type of a row."""

    compute: Callable[[tf.Tensor], tf.Tensor]
    shape: tuple[int, ...]
    dtype: Any


@dataclasses.dataclass(frozen=True)
class EncodedPictures:
    """What the rows of a table are computed from.

    Attributes:
        name: of the dataset and the split.
        key: changes with the pictures' content.
        count: asks how many there are.
        encoded: goes through them, in order.
        index: asks what is kept beside the rows, a JSON value.
        rows: goes through the rows themselves, `[1 or 2, ...]`, where the dataset brings them.
        pairs: whether `encoded` yields two pictures each time, for the channels of one.
    """

    name: str
    key: tuple[str, ...]
    count: Callable[[], int]
    encoded: Callable[[], Iterator[Any]]
    index: Callable[[], Any]
    rows: Callable[[], Iterator[np.ndarray]] | None = None
    pairs: bool = False


def table(
    prepared: StoredImages,
    split: str,
    cache: Path,
    *,
    size: int,
    flips: bool = False,
    augmentation: Augmentation | None = None,
    backbone: Any = None,
    backbone_fingerprint: str = "",
    maps: bool = False,
    brought: bool = False,
) -> Table:
    """Return the rows of a whole split, one a picture: see `stored_rows`.

    With `brought` the dataset has them stored: see `pipelines.inputs.precomputed_features`.
    """
    views = 1 + (flips and backbone is not None)
    pictures = EncodedPictures(
        f"{prepared.name}-{split}",
        (prepared.fingerprint, split),
        lambda: prepared.splits[split],
        lambda: (picture for _, picture in prepared.images(split)),
        lambda: prepared.ids(split),
        (lambda: (row[:views] for row in prepared.features(split))) if brought else None,
    )
    ids, rows = stored_rows(
        pictures,
        cache,
        size=size,
        flips=flips,
        backbone=backbone,
        backbone_fingerprint=backbone_fingerprint,
        maps=maps,
    )
    return Table(tuple(ids), rows, flips, augmentation)


def stored_rows(
    pictures: EncodedPictures,
    cache: Path,
    *,
    size: int,
    box: Box | None = None,
    flips: bool = False,
    backbone: Any = None,
    backbone_fingerprint: str = "",
    maps: bool = False,
) -> tuple[Any, np.ndarray]:
    """Return the rows of pictures, computing those that are not there yet.

    Args:
        pictures: where they come from.
        cache: the folder of all tables.
        size: pixels a side.
        box: the part of each that counts.
        flips: whether to store the mirrored picture (its features) as well.
        backbone: a frozen Keras model of float32 `[batch, size, size, 3]`, of pairs 6; or None for
            pixels.
        backbone_fingerprint: of its weights and preprocessing.
        maps: keep the grid's rows and columns, for another part of the backbone.

    Returns:
        The index, and the rows, memory-mapped `[pictures, 1 or 2, ...]`.

    Raises:
        UserError: if the disk is full or the folder cannot be written.
    """
    mirrored = flips and backbone is not None  # pixels are mirrored when they are read
    key = [VERSION, *pictures.key, size, mirrored, backbone_fingerprint, maps, *(box or ())]
    name = hashlib.sha256(json.dumps(key).encode()).hexdigest()[:16]
    folder = cache / f"{pictures.name}-{name}"
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with open(cache / f".{folder.name}.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # two runs never compute the same rows at once
            if not folder.exists():
                to_rows = row_function(size, mirrored, backbone, maps)
                _compute(pictures, folder, size, box, to_rows)
    except OSError as error:
        raise UserError(
            f"cannot keep picture features in {cache}: {error.strerror or error}. Free some "
            "space, or set WORDREEL_DATA_DIR to a folder on another disk."
        ) from error
    index = json.loads((folder / "ids.json").read_text(encoding="utf-8"))
    return index, np.load(folder / "rows.npy", mmap_mode="r")


def _compute(
    pictures: EncodedPictures, folder: Path, size: int, box: Box | None, to_rows: RowFunction
) -> None:
    """Fill a partial folder row by row, then rename it."""
    partial = folder.with_name(folder.name + ".partial")
    partial.mkdir(exist_ok=True)
    note, path = partial / "progress.json", partial / "rows.npy"
    done = json.loads(note.read_text())["done"] if note.exists() else 0
    count = pictures.count()
    if not done:
        rows = np.lib.format.open_memmap(path, "w+", to_rows.dtype, (count, *to_rows.shape))
        with open(path, "r+b") as file:  # a full disk is met here, not as a crash while writing
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
    rows = np.lib.format.open_memmap(path, "r+")
    what = "reading" if to_rows.dtype == np.uint8 or pictures.rows else "computing features"
    found: Iterable[Any]
    if pictures.rows is not None:
        found = _batched(itertools.islice(pictures.rows(), done, None))
    else:
        decoded = _decoded(pictures, size, box, done)
        found = (to_rows.compute(batch).numpy() for batch in decoded)
    with progress(count, f"{what} ({pictures.name})", initial=done) as bar:
        for number, new in enumerate(found, 1):
            rows[done : done + len(new)] = new
            done += len(new)
            bar.update(len(new))
            if number % 20 == 0:
                rows.flush()
                _write_json(note, {"done": done})
    rows.flush()
    _write_json(partial / "ids.json", pictures.index())
    note.unlink(missing_ok=True)
    os.replace(partial, folder)


def _batched(rows: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
    """Yield rows `[batch, 1 or 2, ...]`."""
    while batch := list(itertools.islice(rows, BATCH)):
        yield np.stack(batch)


def _decoded(pictures: EncodedPictures, size: int, box: Box | None, skip: int) -> tf.data.Dataset:
    """Return batches of decoded pictures, uint8 `[batch, size, size, 3 or 6]`, in order."""

    def some() -> Iterator[np.ndarray]:  # many at once: each call from the graph takes time
        encoded = itertools.islice(pictures.encoded(), skip, None)
        while batch := list(itertools.islice(encoded, BATCH)):
            yield np.array(batch, object)

    shape = [None, 2] if pictures.pairs else [None]
    found = tf.data.Dataset.from_generator(some, output_signature=tf.TensorSpec(shape, tf.string))

    def decode(each: tf.Tensor) -> tf.Tensor:
        parts = tf.unstack(each) if pictures.pairs else [each]
        return tf.concat([decode_picture(part, size, box) for part in parts], axis=-1)

    decoded = found.unbatch().map(decode, num_parallel_calls=tf.data.AUTOTUNE)
    return decoded.batch(BATCH).prefetch(2)


def row_function(size: int, mirrored: bool, backbone: Any, maps: bool = False) -> RowFunction:
    """Return what makes rows of pictures, uint8 `[batch, size, size, 3 or 6]`.

    A backbone's weights are those of now: see `models.backbones.batch_norm_folding.frozen`.
    """
    if backbone is None:
        return RowFunction(lambda pictures: pictures[:, tf.newaxis], (1, size, size, 3), np.uint8)

    answer, channels = frozen(backbone), backbone.input_shape[-1]

    @tf.function(input_signature=[tf.TensorSpec([None, size, size, channels], tf.uint8)])
    def features(pictures: tf.Tensor) -> tf.Tensor:
        views = [pictures, pictures[:, :, ::-1]] if mirrored else [pictures]
        return tf.cast(tf.stack([see(view) for view in views], axis=1), tf.float16)

    def see(pictures: tf.Tensor) -> tf.Tensor:
        if maps:
            return answer(tf.cast(pictures, tf.float32))
        return look(answer, pictures)

    _, *grid, depth = backbone.compute_output_shape((1, size, size, channels))
    places = grid if maps or not grid else [math.prod(grid)]
    return RowFunction(features, (1 + mirrored, *places, depth), np.float16)


def _write_json(path: Path, value: Any) -> None:
    with atomic_write(path) as file:
        json.dump(value, file)
