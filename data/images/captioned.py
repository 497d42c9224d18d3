"""The datasets that image captioning can train on, and how to prepare and read them.

    prepared = prepare("flickr8k", "~/Flickr8k")
    for image_id, captions in prepared.captions("validation"):
        ...

Nothing heavy is imported before it is needed: the command line lists datasets from here.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data.common.errors import UserError, unknown
from data.storage.cache import data_home, say, tell, writing_to
from data.storage.dataset_info import DatasetInfo, source_folder
from data.storage.prepared import (
    LabelledPictures,
    Prepared,
    PreparedByTfds,
    PreparedScenes,
    Stored,
    count_splits,
    open_prepared,
)

if TYPE_CHECKING:
    from data.annotations.entries import Listing, Problem

# Raised when what is stored for the same source changes, so that no older dataset is reused.
_FORMAT = 2


DATASETS: Mapping[str, DatasetInfo] = {
    info.name: info
    for info in (
        DatasetInfo(
            "synthetic-scenes",
            "drawn scenes with five true captions each, made on the spot",
            False,
            "nothing: drawn from a seed",
            made=True,
        ),
        DatasetInfo(
            "flickr8k",
            "8,000 photos, 5 English captions each",
            True,
            "Flickr8k.token.txt and Flickr_8k.{train,dev,test}Images.txt (or captions.txt, or "
            "dataset_flickr8k.json) with images/ or Flicker8k_Dataset/",
        ),
        DatasetInfo(
            "flickr30k",
            "31,000 photos, 5 English captions each",
            True,
            "results_20130124.token or results.csv, and dataset_flickr30k.json for Karpathy's "
            "splits, with flickr30k-images/",
        ),
        DatasetInfo(
            "coco",
            "123,000 photos, 5 English captions each",
            True,
            "dataset_coco.json with train2014/ and val2014/, or "
            "annotations/captions_{train,val}2017.json (or 2014) with train2017/ and val2017/",
        ),
        DatasetInfo(
            "coco_captions",
            "COCO as TensorFlow Datasets prepares it, in Karpathy's splits",
            False,
            "a TFDS data folder with coco_captions in it; without --source TFDS's own folder, "
            "into which it is downloaded (37 GB) if need be",
        ),
        *(
            DatasetInfo(
                f"multi30k-{language}",
                f"{name} captions of those photos of Flickr8k or Flickr30k that you have",
                True,
                f"Multi30k's {{train,val,test}}.{language} (or .gz) and images.{{train,val,test}}"
                ".txt, with images/ or flickr30k-images/",
            )
            for language, name in (("de", "German"), ("fr", "French"))
        ),
        DatasetInfo(
            "folder",
            "your own pictures and captions, in any language",
            True,
            "images/ with captions.csv (columns image, caption and, if you like, split) or "
            'captions.jsonl ({"image": "a.jpg", "captions": ["…"], "split": "train"})',
        ),
        DatasetInfo(
            "prepared",
            "pictures with captions that `wordreel prepare` has stored",
            True,
            "the folder that it wrote",
        ),
    )
}


def prepare(
    name: str,
    source: Path | str | None = None,
    *,
    data_dir: Path | str | None = None,
    max_bad: float = 0.01,
    image_size: int | None = None,
    seed: int = 0,
) -> Prepared:
    """Return the dataset, written to `data_dir` unless it is there already.

    What is wrong with the source goes to a report file and, counted, to the screen.

    Args:
        name: a key of `DATASETS`.
        source: the folder it lies in.
        data_dir: where prepared datasets go. Default: the environment's `WORDREEL_DATA_DIR`,
            else `wordreel` in the user's cache folder.
        max_bad: the share of pictures that may have problems, 0 to 1.
        image_size: store pictures at most this many pixels long (default: `images.MAX_SIDE`).
        seed: of the drawn scenes. The splits of pictures do not depend on it.

    Raises:
        UserError: for an unknown name, a source that is not there or not in the expected layout,
            too many bad pictures, or a `data_dir` that cannot be written.
    """
    if name not in DATASETS:
        raise unknown("dataset", name, DATASETS)
    if not 0 <= max_bad <= 1:
        raise UserError(f"--max-bad is a share between 0 and 1, not {max_bad}")
    if image_size is not None and image_size < 1:
        raise UserError(f"the size of stored pictures is at least 1 pixel, not {image_size}")
    folder = source_folder(DATASETS[name], source)
    home = data_home(data_dir)
    if name == "synthetic-scenes":
        return _prepare_scenes(home, seed)
    if name == "coco_captions":
        return _prepare_coco_captions(folder, home)
    assert folder is not None
    if name == "prepared":
        stored = open_prepared(folder, "image_id", "captions")
        return (PreparedScenes if stored["name"] == "synthetic-scenes" else Prepared)(**stored)
    read = _readers()[name]
    prepared = listed_pictures(name, read, folder, home, max_bad, image_size)
    assert isinstance(prepared, Prepared)
    return prepared


def listed_pictures(
    name: str,
    read: Callable[[Path], Listing],
    source: Path,
    home: Path,
    max_bad: float,
    image_size: int | None,
    *,
    labelled: bool = False,
) -> Stored:
    """Write the pictures that a reader lists, and return the dataset; see `prepare`."""
    from data.annotations.classes import classes_in
    from data.media.images import MAX_SIDE
    from data.storage.write_listing import write_listing

    max_side = image_size or MAX_SIDE
    listing = listing_of(name, read, source)
    classes = classes_in(name, listing) if labelled else ()

    def write(fingerprint: str, problems: list[Problem], **options: Any) -> Path:
        from data.storage.builders import build, checked_pictures

        splits = checked_pictures(
            listing, problems, max_side=max_side, labelled=labelled, **options
        )
        return build(
            name, fingerprint, encoding="jpeg", splits=splits, data_dir=home, classes=classes
        )

    kind = LabelledPictures if labelled else Prepared
    return write_listing(kind, name, listing, [_FORMAT, max_side], home, max_bad, write)


def list_pictures(name: str, source: Path) -> Listing:
    """Read which pictures a dataset has in its folder: see `listing_of`."""
    return listing_of(name, _readers()[name], source)


def listing_of(name: str, read: Callable[[Path], Listing], source: Path) -> Listing:
    """Let a reader list what a folder holds; remarks go to the screen.

    Raises:
        UserError: for a source that cannot be read or is not in the expected layout.
    """
    try:
        listing = read(source)
    except OSError as error:
        raise UserError(f"cannot read {error.filename or source}: {error.strerror}") from error
    for note in listing.notes:
        say(f"{name}: {note}")
    return listing


def _readers() -> Mapping[str, Callable[[Path], Listing]]:
    from data.images import corpora, image_folder, multi30k

    return {
        "flickr8k": corpora.read_flickr8k,
        "flickr30k": corpora.read_flickr30k,
        "coco": corpora.read_coco,
        "folder": image_folder.read_folder,
        "multi30k-de": lambda source: multi30k.read_multi30k(source, "de"),
        "multi30k-fr": lambda source: multi30k.read_multi30k(source, "fr"),
    }


def _prepare_scenes(home: Path, seed: int) -> Prepared:
    from data.annotations.problems import write_report
    from data.builtin import scenes
    from data.common.progress import progress
    from data.storage.builders import build, is_built
    from data.storage.examples import drawn_scenes

    digest = hashlib.sha256(json.dumps([_FORMAT, scenes.VERSION, seed]).encode())
    fingerprint = digest.hexdigest()[:16]
    report = home / "synthetic-scenes" / fingerprint / "problems.jsonl"
    built = is_built(home, "synthetic-scenes", fingerprint)
    bar = progress(sum(scenes.SPLITS.values()), "drawing scenes")
    with writing_to(home), bar:
        write_report(report, [])
        splits = drawn_scenes(seed, bar)
        directory = build(
            "synthetic-scenes", fingerprint, encoding="png", splits=splits, data_dir=home
        )
    prepared = PreparedScenes(
        "synthetic-scenes", directory, fingerprint, count_splits(directory), report
    )
    tell(prepared, [], again=built)
    return prepared


def _prepare_coco_captions(source: Path | None, home: Path) -> Prepared:
    from data.annotations.problems import write_report
    from data.storage.tfds import built_by_tfds, fingerprint_by_tfds

    directory, again = built_by_tfds("coco_captions", source, size="37 GB")
    fingerprint = fingerprint_by_tfds(directory)
    report = home / "coco_captions" / fingerprint / "problems.jsonl"
    with writing_to(home):
        write_report(report, [])
    counts = PreparedByTfds.count(count_splits(directory))
    prepared = PreparedByTfds("coco_captions", directory, fingerprint, counts, report)
    tell(prepared, [], again=again)
    return prepared
