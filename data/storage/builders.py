"""Writing pictures as a TFDS dataset: TFRecord shards with metadata, built once.

What plans a job imports this: TensorFlow is loaded by what needs it, not at the top.
"""

from __future__ import annotations

import contextlib
import fcntl
import io
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, ClassVar

import tensorflow_datasets as tfds
from absl import logging
from tqdm import tqdm

from data.annotations.entries import Entry, Listing, Problem
from data.annotations.problems import repeats
from data.common.errors import UserError
from data.storage.examples import Example, LabelledExample, Loaded, picture_of

VERSION = "1.0.0"
_CHUNK = 64  # pictures or clips read ahead of the writer


class StoredPictures(tfds.core.GeneratorBasedBuilder, skip_registration=True):  # type: ignore[call-arg]
    """A dataset `<data_dir>/<name>/<fingerprint>/1.0.0` of pictures with captions or labels.

    Features: `image` (encoded, uint8 [height, width, 3] when decoded), `image_id`, and `captions`
    or, where there are classes, `label`. `tfds.builder_from_directory` reads it without this class.

    Args:
        name: of the dataset.
        fingerprint: of its content; the TFDS config.
        encoding: of the pictures, "jpeg" or "png".
        splits: the examples of each split, read once, in this order.
        data_dir: the folder of all datasets.
        classes: the labels; none where pictures have captions.
    """

    VERSION = tfds.core.Version(VERSION)
    # Nothing is downloaded: TFDS need not look for checksums.
    url_infos: ClassVar[Mapping[str, Any]] = {}

    def __init__(
        self,
        name: str,
        fingerprint: str,
        *,
        encoding: str,
        splits: Mapping[str, Iterable[Example | LabelledExample]],
        data_dir: Path,
        classes: Sequence[str] = (),
    ) -> None:
        self.name = name
        self._encoding = encoding
        self._classes = list(classes)
        self._splits = splits
        config = tfds.core.BuilderConfig(name=fingerprint, version=VERSION)
        super().__init__(data_dir=data_dir, config=config)

    def _info(self) -> tfds.core.DatasetInfo:
        told = captions_feature()
        if self._classes:
            told = {"label": tfds.features.ClassLabel(names=self._classes)}
        (what,) = told
        return tfds.core.DatasetInfo(
            builder=self,
            description=f"Pictures with their {what}, each picture once. Written by Wordreel.",
            features=tfds.features.FeaturesDict(picture_features(self._encoding, **told)),
            supervised_keys=("image", what),
        )

    def _split_generators(self, dl_manager: Any) -> dict[str, Iterator[tuple[str, Any]]]:
        return {split: self._generate_examples(self._splits[split]) for split in self._splits}

    def _generate_examples(
        self, examples: Iterable[Example | LabelledExample]
    ) -> Iterator[tuple[str, Any]]:
        for example in examples:
            yield example.image_id, example._asdict()


def picture_features(encoding: str, **told: Any) -> dict[str, Any]:
    """Return what is stored of a picture, by name: what it shows, its id, and what is told."""
    return {
        "image": tfds.features.Image(shape=(None, None, 3), encoding_format=encoding),
        "image_id": tfds.features.Text(),
        **told,
    }


def captions_feature() -> dict[str, Any]:
    """Return the feature of captions."""
    return {"captions": tfds.features.Sequence(tfds.features.Text())}


def texts_features(names: Iterable[str]) -> dict[str, Any]:
    """Return features that are texts: what is stored of a text with its label or translation."""
    return {name: tfds.features.Text() for name in names}


def is_built(data_dir: Path, name: str, fingerprint: str) -> bool:
    """Return whether `build` has been through already."""
    return (data_dir / name / fingerprint / VERSION).is_dir()


def build(
    name: str,
    fingerprint: str,
    *,
    encoding: str,
    splits: Mapping[str, Iterable[Example | LabelledExample]],
    data_dir: Path,
    classes: Sequence[str] = (),
) -> Path:
    """Write the dataset unless it is there, and return its folder.

    It is written aside and renamed when whole, so that what a killed run leaves is never read;
    the next run removes it. Two runs at once: one writes, the other waits and uses it.

    Raises:
        OSError: if the disk is full or `data_dir` cannot be written.
    """

    def make() -> StoredPictures:
        return StoredPictures(
            name,
            fingerprint,
            encoding=encoding,
            splits=splits,
            data_dir=data_dir,
            classes=classes,
        )

    return write(make, data_dir / name / fingerprint)


def write(make: Callable[[], tfds.core.GeneratorBasedBuilder], home: Path) -> Path:
    """Write the dataset of a builder, which is made when its turn has come: see `build`."""
    import tensorflow as tf

    home.mkdir(parents=True, exist_ok=True)
    try:
        with alone(home / ".lock"), _quiet():
            for leftover in home.glob("incomplete.*"):
                shutil.rmtree(leftover)
            builder = make()
            builder.download_and_prepare(
                download_dir=home / "incomplete.downloads",  # TFDS makes it, for nothing
                download_config=tfds.download.DownloadConfig(try_download_gcs=False),
                file_format="tfrecord",
            )
            shutil.rmtree(home / "incomplete.downloads", ignore_errors=True)
    except (RuntimeError, tf.errors.OpError) as error:
        cause = error.__cause__ or error  # TFDS wraps some, TensorFlow has its own OSErrors
        if not isinstance(cause, (OSError, tf.errors.OpError)):
            raise
        reason = cause.message if isinstance(cause, tf.errors.OpError) else cause.strerror
        raise OSError(None, reason, str(home)) from error
    return Path(builder.data_dir)


@contextlib.contextmanager
def alone(path: Path) -> Iterator[None]:
    """Hold a lock that the system drops when this process ends, however it ends."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def hushed() -> Iterator[None]:
    """Silence what TFDS and TensorFlow log, which is not for users."""
    import tensorflow as tf

    verbosity, level = logging.get_verbosity(), tf.get_logger().level
    logging.set_verbosity(logging.ERROR)
    tf.get_logger().setLevel("ERROR")
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        tf.get_logger().setLevel(level)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence TFDS: its log, its lines on stdout, its own bars."""
    tfds.disable_progress_bar()
    try:
        with contextlib.redirect_stdout(io.StringIO()), hushed():
            yield
    finally:
        tfds.enable_progress_bar()


def checked_pictures(
    listing: Listing,
    problems: list[Problem],
    *,
    max_side: int | None,
    labelled: bool,
    bar: tqdm[Any],
    finish: Callable[[], None],
) -> dict[str, Iterator[Example | LabelledExample]]:
    """Return the pictures of each split, shrunk to `max_side`: see `checked`, `load_image`."""

    def load(entry: Entry) -> Loaded:
        return picture_of(entry, max_side, labelled)

    return checked(listing, problems, load, kind="picture", bar=bar, finish=finish)


def checked(
    listing: Listing,
    problems: list[Problem],
    load: Callable[[Entry], Loaded],
    *,
    kind: str,
    bar: tqdm[Any],
    finish: Callable[[], None],
) -> dict[str, Iterator[Any]]:
    """Return the examples of each split, decoded once to see that they can be.

    The splits stand with training last: a picture that is in two of them under two names leaves
    the training split, never the ones that are measured on.

    Args:
        listing: the pictures, or clips.
        problems: what is wrong with one is added here.
        load: reads one; raises a UserError that says in a few words why it cannot be decoded.
        kind: what messages call one.
        bar: is told of each.
        finish: called when all have been seen, before the dataset is there to be read, and when
            a split has none left; it raises if too many are bad.
    """
    by_split = {
        split: [entry for entry in listing.entries if entry.split == split]
        for split in ("test", "validation", "train")
    }
    splits = [split for split in by_split if by_split[split]]
    first_seen: dict[bytes, Entry] = {}

    def examples(split: str) -> Iterator[Any]:
        kept = 0
        for entry, loaded in _load(by_split[split], load):
            bar.update()
            if isinstance(loaded, str):
                problems.append(Problem(entry.file, loaded, entry.where))
                continue
            first = first_seen.setdefault(loaded.digest, entry)
            if problem := repeats(entry, first, kind):
                problems.append(problem)
                continue
            for remark in loaded.remarks:
                problems.append(Problem(entry.file, remark, entry.where, bad=False))
            kept += 1
            yield loaded.example
        if split == splits[-1] or not kept:
            finish()
        if not kept:
            raise UserError(f"no {kind} of the {split} split can be used: {problems[-1].reason}")

    return {split: examples(split) for split in splits}


def _load(
    entries: Sequence[Entry], load: Callable[[Entry], Loaded]
) -> Iterator[tuple[Entry, Loaded | str]]:
    """Yield what is loaded of each entry, or the reason why it cannot be used, in order."""

    def attempt(entry: Entry) -> Loaded | str:
        try:
            return load(entry)
        except UserError as error:
            return f"undecodable: {error}"
        except OSError as error:
            return f"unreadable: {error.strerror}"

    # Threads are enough: Pillow and OpenCV decode outside Python's lock.
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for start in range(0, len(entries), _CHUNK):
            chunk = entries[start : start + _CHUNK]
            yield from zip(chunk, pool.map(attempt, chunk), strict=True)
