"""A cache on disk of images as rows of one array: pixels, or features of a frozen backbone.

Each image is decoded once and passes through a frozen backbone once; every later run reads the
rows. The frames of clips are images like any other. The folder's name is a hash of all that the
rows depend on (the dataset's content, the backbone's weights and preprocessing, the image size),
so a changed encoder never reads a stale cache. The hash is that of the weights which then compute
the rows, whatever was loaded into the backbone before. An interrupted job resumes where it stopped.
"""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import json
import math
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Generic, NamedTuple, TypeVar

import keras
import numpy as np
import tensorflow as tf
from filelock import FileLock

from data.common.errors import UserError
from data.common.files import atomic_write
from data.common.progress import progress
from data.storage.cache import mark_used
from models.backbones.batch_norm_folding import freeze_for_inference
from models.backbones.factory import fingerprint
from models.encoder_head import apply_backbone
from pipelines.config.crop import Box
from pipelines.preprocessing.images import decode_image

VERSION = 1  # of features in prepared datasets: raise it when what computes them changes
CACHE_VERSION = 2  # of all rows in the cache: raise it likewise, or when a key was wrong
BATCH = 32

Item = TypeVar("Item")  # of an index, such as an id: JSON values


class RowFunction(NamedTuple):
    """A function of a batch of images, and the shape and type of the rows it computes."""

    compute: Callable[[tf.Tensor], tf.Tensor]
    shape: tuple[int, ...]
    dtype: type[np.generic]


@dataclasses.dataclass(frozen=True)
class EncodedImages(Generic[Item]):
    """The images of which rows are computed. Nothing is read of those that are cached."""

    name: str  # of the dataset and the split
    key: tuple[str, ...]  # changes with the images' content
    count: Callable[[], int]  # of rows
    encoded: Callable[[], Iterator[bytes | list[bytes]]]  # images in order, or pairs of them
    index: Callable[[], list[Item]]  # the values stored beside the rows, such as ids
    features: Callable[[], Iterator[np.ndarray]] | None = None  # stored rows, `[1 or 2, ...]`
    pairs: bool = False  # whether `encoded` yields pairs, whose channels are concatenated


def cached_rows(
    images: EncodedImages[Item],
    cache: Path,
    *,
    size: int,
    box: Box | None = None,
    flips: bool = False,
    backbone: keras.Model | None = None,
    keep_grid: bool = False,
) -> tuple[list[Item], np.ndarray]:
    """Return the rows of images, computing those that are not cached yet.

    Args:
        images: where they come from.
        cache: the folder of all tables.
        size: pixels per side.
        box: crop; None: the whole image.
        flips: whether to store the features of the mirrored image as well.
        backbone: a frozen model of float32 `[batch, size, size, 3]`, 6 channels for pairs; None
            for pixels.
        keep_grid: whether to keep the rows and columns of its output.

    Returns:
        The index, and the rows, memory-mapped `[images, 1 or 2, ...]`.

    Raises:
        UserError: if the disk is full or the folder cannot be written.
    """
    mirrored = flips and backbone is not None  # pixels are mirrored when they are read
    weights = "" if backbone is None else fingerprint(backbone)  # as they are now
    key = [CACHE_VERSION, *images.key, size, mirrored, weights, keep_grid, *(box or ())]
    name = hashlib.sha256(json.dumps(key).encode()).hexdigest()[:16]
    folder = cache / f"{images.name}-{name}"
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with FileLock(cache / f".{folder.name}.lock"):  # two runs never compute the same rows
            if not folder.exists():
                to_rows = row_function(size, mirrored, backbone, keep_grid)
                _compute(images, folder, size, box, to_rows)
            mark_used(folder)
    except OSError as error:
        raise UserError(
            f"cannot store image features in {cache}: {error.strerror or error}. Free some "
            "space, or set WORDREEL_DATA_DIR to a folder on another disk."
        ) from error
    index = json.loads((folder / "ids.json").read_text(encoding="utf-8"))
    return index, np.load(folder / "rows.npy", mmap_mode="r")


def _compute(
    images: EncodedImages[Item], folder: Path, size: int, box: Box | None, to_rows: RowFunction
) -> None:
    """Fill a partial folder row by row, then rename it."""
    partial = folder.with_name(folder.name + ".partial")
    partial.mkdir(exist_ok=True)
    note, path = partial / "progress.json", partial / "rows.npy"
    done = json.loads(note.read_text())["done"] if note.exists() else 0
    count = images.count()
    if not done:
        rows = np.lib.format.open_memmap(path, "w+", to_rows.dtype, (count, *to_rows.shape))
        with open(path, "r+b") as file:  # a full disk is an error here, not a crash while writing
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
    rows = np.lib.format.open_memmap(path, "r+")
    what = "reading" if to_rows.dtype == np.uint8 or images.features else "computing features"
    batches: Iterable[np.ndarray]
    if images.features is not None:
        batches = _batched(itertools.islice(images.features(), done, None))
    else:
        decoded = _decoded(images, size, box, done)
        batches = (to_rows.compute(batch).numpy() for batch in decoded)
    with progress(count, f"{what} ({images.name})", initial=done) as bar:
        for number, new in enumerate(batches, 1):
            rows[done : done + len(new)] = new
            done += len(new)
            bar.update(len(new))
            if number % 20 == 0:
                rows.flush()
                _write_json(note, {"done": done})
    rows.flush()
    _write_json(partial / "ids.json", images.index())
    note.unlink(missing_ok=True)
    os.replace(partial, folder)


def _batched(rows: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
    """Yield rows `[batch, 1 or 2, ...]`."""
    while batch := list(itertools.islice(rows, BATCH)):
        yield np.stack(batch)


def _decoded(images: EncodedImages[Item], size: int, box: Box | None, skip: int) -> tf.data.Dataset:
    """Return batches of decoded images, uint8 `[batch, size, size, 3 or 6]`, in order."""

    def chunks() -> Iterator[np.ndarray]:  # many at once: each call from the graph takes time
        encoded = itertools.islice(images.encoded(), skip, None)
        while batch := list(itertools.islice(encoded, BATCH)):
            yield np.array(batch, object)

    shape = [None, 2] if images.pairs else [None]
    encoded = tf.data.Dataset.from_generator(
        chunks, output_signature=tf.TensorSpec(shape, tf.string)
    )

    def decode(each: tf.Tensor) -> tf.Tensor:
        parts = tf.unstack(each) if images.pairs else [each]
        return tf.concat([decode_image(part, size, box) for part in parts], axis=-1)

    decoded = encoded.unbatch().map(decode, num_parallel_calls=tf.data.AUTOTUNE)
    return decoded.batch(BATCH).prefetch(2)


def row_function(
    size: int, mirrored: bool, backbone: keras.Model | None, keep_grid: bool = False
) -> RowFunction:
    """Return the function that computes rows of images, uint8 `[batch, size, size, 3 or 6]`.

    Later changes of the backbone's weights have no effect: see
    `models.backbones.batch_norm_folding.freeze_for_inference`.
    """
    if backbone is None:
        return RowFunction(lambda images: images[:, tf.newaxis], (1, size, size, 3), np.uint8)

    fast, channels = freeze_for_inference(backbone), backbone.input_shape[-1]

    spec = tf.TensorSpec([None, size, size, channels], tf.uint8)

    @tf.function(input_signature=[spec], autograph=False)
    def features(images: tf.Tensor) -> tf.Tensor:
        views = [images, images[:, :, ::-1]] if mirrored else [images]
        return tf.cast(tf.stack([apply(view) for view in views], axis=1), tf.float16)

    def apply(images: tf.Tensor) -> tf.Tensor:
        if keep_grid:
            return fast(tf.cast(images, tf.float32))
        return apply_backbone(fast, images)

    _, *grid, depth = backbone.compute_output_shape((1, size, size, channels))
    cells = grid if keep_grid or not grid else [math.prod(grid)]
    return RowFunction(features, (1 + mirrored, *cells, depth), np.float16)


def _write_json(path: Path, value: object) -> None:
    with atomic_write(path) as file:
        json.dump(value, file)
