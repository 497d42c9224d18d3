"""Prepare the image and clip datasets of a training run, in this process.

    prepared = prepare_images("flickr8k", "~/Flickr8k")
    captions = dict(prepared.captions("validation"))

A dataset goes to `WORDREEL_DATA_DIR/<name>/<fingerprint>/`; an interrupted preparation resumes.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any

from data.annotations.problems import read_report, summary
from data.common.errors import UserError
from data.common.progress import progress
from data.images.datasets import IMAGE_DATASETS
from data.sharding.datasets import PREPARABLE
from data.sharding.shards import Shard, WorkFolder
from data.sharding.write_dataset import lock, new_job, plan_dataset, write_dataset
from data.storage.cache import data_home, log, mark_used, source_cache, writing_to
from data.storage.dataset_info import PREPARED, Dataset, datasets_with, find_dataset, source_folder
from data.storage.prepared import StoredImages, open_prepared
from data.video.datasets import CLIP_DATASETS
from data.video.prepared import StoredClips


def prepare_images(
    name: str,
    source: Path | str | None = None,
    *,
    labels: bool = False,
    data_dir: Path | str | None = None,
    max_bad: float = 0.01,
    seed: int = 0,
) -> StoredImages:
    """Return a dataset of images, written to `data_dir` unless it is there already.

    Args:
        name: of one of `IMAGE_DATASETS`, or "tfds:" and TFDS's own name.
        source: the folder of the dataset.
        labels: whether to load labels instead of captions.
        data_dir: see `data.storage.cache.data_home`.
        max_bad: the share of images that may be unusable, 0 to 1.
        seed: of generated images.

    Raises:
        UserError: for an unknown name, a source without the expected layout, labels that cannot be
            learned, too many bad images, or a `data_dir` that cannot be written.
    """
    annotation = "labels" if labels else "captions"
    dataset = find_dataset(name, datasets_with(IMAGE_DATASETS, annotation))
    folder, home = source_folder(dataset, source), data_home(data_dir)
    if name == PREPARED:
        return StoredImages(**_opened(folder, "image_id", "label" if labels else "captions"))
    if dataset.source_optional:
        from data.images.tfds import open_tfds_images

        return open_tfds_images(name, folder, home)
    options = dataset.options({"seed": seed})
    return StoredImages(**_prepare(dataset, folder, options, home, max_bad))


def prepare_clips(
    name: str,
    source: Path | str | None = None,
    *,
    frames: int | None = None,
    rate: float | None = None,
    fold: int | None = None,
    language: str | None = None,
    data_dir: Path | str | None = None,
    max_bad: float = 0.01,
    seed: int = 0,
) -> StoredClips:
    """Return a dataset of clips, its frames written to `data_dir` unless they are there already.

    Args:
        name: of one of `CLIP_DATASETS`.
        source: the folder of the dataset.
        frames: how many are stored of each clip; None, and `rate` None: the dataset's default.
        rate: frames per second instead.
        fold: one of the official folds if there are several, else which of five folds to test on,
            split by groups; None: the dataset's own splits, or the first official fold.
        language: of the captions, where a dataset has several: "zh"; None: English.
        data_dir: see `data.storage.cache.data_home`.
        max_bad: the share of clips that may be unusable, 0 to 1.
        seed: of generated clips.

    Raises:
        UserError: for an unknown name, a source without the expected layout, too many bad clips,
            or a `data_dir` that cannot be written.
    """
    dataset = find_dataset(name, {each.name: each for each in CLIP_DATASETS})
    folder, home = source_folder(dataset, source), data_home(data_dir)
    if name == PREPARED:
        stored = StoredClips(**_opened(folder, "clip_id"))
        if language is not None:
            raise UserError("--language is for clips that are files: prepared ones have captions")
        _check_stored_frames(stored, frames, rate, fold)
        return stored
    given = {"frames": frames, "rate": rate, "fold": fold, "language": language, "seed": seed}
    return StoredClips(**_prepare(dataset, folder, dataset.options(given), home, max_bad))


def _check_stored_frames(
    stored: StoredClips, frames: int | None, rate: float | None, fold: int | None
) -> None:
    """Refuse other frames or splits than those that `wordreel prepare` has stored."""
    if fold is not None:
        raise UserError("--fold is for clips that are files: prepared ones have their splits")
    count, per_second = (stored.sampling[name] for name in ("count", "rate"))
    if (frames or rate) and [frames, rate] != [count, per_second]:
        found = f"{count} frames a clip" if count else f"{per_second:g} frames a second"
        raise UserError(
            f"{stored.directory} holds {found}: to store others, run `wordreel prepare` with "
            "--frames or --rate"
        )


def _opened(folder: Path | None, *needed: str) -> dict[str, Any]:
    """Return the fields of what `wordreel prepare` has written, with the check of captions."""
    assert folder is not None
    fields = open_prepared(folder, *needed)
    dataset = PREPARABLE.get(fields["name"])
    return {**fields, "is_true": dataset and dataset.is_true}


def _prepare(
    dataset: Dataset, source: Path | None, options: Mapping[str, Any], home: Path, max_bad: float
) -> dict[str, Any]:
    """Write a dataset unless it is there, and return its fields."""
    job = new_job(dataset.name, options)
    with writing_to(home):
        plan = plan_dataset(source, job, source_cache(home, dataset.name, source))
        work = WorkFolder(home / dataset.name / plan.fingerprint)
        with lock(work):
            again = write_dataset(work, plan, max_bad=max_bad, make=_make_shards)
        mark_used(work.out)
    fields = _opened(work.out, dataset.id_feature)
    counts = ", ".join(f"{split} {count:,}" for split, count in fields["splits"].items())
    log(f"{dataset.name}: {counts} {dataset.unit}{' (prepared before)' * again}")
    if problems := read_report(fields["problems"]):
        log(f"{dataset.name}: {summary(problems)}; each is named in {fields['problems']}")
    return fields


def _make_shards(work: Path, missing: Sequence[Shard], unit: str) -> None:
    """Make shards in this process, on all cores: images decode outside Python's lock."""
    from data.sharding.shard_writer import write_shard

    total = sum(shard.size for shard in missing)
    pool = ThreadPoolExecutor(os.cpu_count())
    try:
        with progress(total, f"preparing {unit}", unit) as bar:
            # The largest first, so that all cores end at about the same time.
            ordered = sorted(missing, key=lambda shard: -shard.size)
            sizes = {pool.submit(write_shard, work, each.key, {}): each.size for each in ordered}
            for future in as_completed(sizes):
                future.result()
                bar.update(sizes[future])
    finally:
        pool.shutdown(cancel_futures=True)
