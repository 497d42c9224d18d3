"""From a source to a dataset on disk: plan the shards, make the missing ones, publish them all.

A killed run leaves nothing readable; the next one makes only what is missing.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock

from data.annotations.entries import Entry, Problem
from data.annotations.problems import check_share, encode_report
from data.common.errors import UserError
from data.sharding.datasets import load_annotations, preparable
from data.sharding.shards import FORMAT, Shard, WorkFolder, plan_shards
from data.sharding.work_items import Item, hash_files, remove_duplicates
from data.storage.fingerprints import file_digest
from data.storage.manifest import INFO, SKIPPED

VERSION = "1.0.0"  # of the format, for TensorFlow Datasets

Job = Mapping[str, Any]
# Makes shards; gets the work folder, the missing shards and the unit of progress.
Make = Callable[[Path, Sequence[Shard], str], None]


@dataclass
class Plan:
    """What a dataset consists of.

    Attributes:
        job: see `new_job`.
        items: of each shard; dropped when they are written, for they take memory.
        problems: of the source and, once the shards are made, of the files.
        total: the number of examples, the bad ones included.
        splits: that the source has.
        shards: all of them.
        notes: what became of each shard, once all are made.
    """

    job: Job
    items: dict[Shard, list[Item]]
    problems: list[Problem]
    total: int
    splits: tuple[str, ...]
    notes: Sequence[Mapping[str, Any]] = ()
    shards: list[Shard] = field(init=False)

    def __post_init__(self) -> None:
        self.shards = list(self.items)

    @property
    def fingerprint(self) -> str:
        """16 hex digits that change with the content of the source and the options."""
        keys = [shard.key for shard in self.shards]
        return hashlib.sha256(json.dumps([FORMAT, keys]).encode()).hexdigest()[:16]


# Returns further files of a dataset, such as a summary, by name.
Describe = Callable[[WorkFolder, Plan], Mapping[str, bytes]]


def new_job(
    dataset: str,
    options: Mapping[str, Any],
    encoder: Mapping[str, Any] | None = None,
    pixels: bool = True,
) -> Job:
    """Return a job: everything besides the source that decides the bytes of a dataset."""
    return {"dataset": dataset, "options": options, "encoder": encoder, "pixels": pixels}


def lock(work: WorkFolder) -> FileLock:
    """Create the work folder, and return its lock, for one process at a time to hold."""
    work.folder.mkdir(parents=True, exist_ok=True)
    return FileLock(work.folder / "lock")


def plan_dataset(source: str | Path | None, job: Job, digests: Path) -> Plan:
    """List a source, hash its files, and divide it into shards.

    Args:
        source: the folder of the dataset.
        job: see `new_job`.
        digests: a file with the hashes of files from last time; it is updated.

    Raises:
        UserError: for a source that does not have the expected layout, or has no example.
    """
    dataset = preparable(job["dataset"])
    annotations = load_annotations(job["dataset"], source, job["options"], digests)
    hashed = hash_files(annotations.entries, digests)

    def is_usable(entry: Entry) -> bool:
        try:
            dataset.load(entry, job["options"])
        except (UserError, OSError):
            return False
        return True

    items, duplicates = remove_duplicates(hashed, dataset.unit[:-1], is_usable)
    shards = plan_shards(items, job, dataset.shard_size)
    if not shards:
        raise UserError(f"{dataset.name}: no {dataset.unit} in {source}")
    problems = [*annotations.problems, *duplicates]
    splits = tuple(dict.fromkeys(entry.split for entry in annotations.entries))
    return Plan(job, shards, problems, annotations.total, splits)


def write_dataset(
    work: WorkFolder, plan: Plan, *, max_bad: float, make: Make, describe: Describe | None = None
) -> bool:
    """Write a dataset unless it is there, from wherever the last attempt stopped.

    Args:
        work: its work folder, whose `lock` the caller holds.
        plan: what to write; its items are dropped.
        max_bad: the largest share of examples that may be unusable.
        make: makes shards.
        describe: returns further files.

    Returns:
        Whether it was there.

    Raises:
        UserError: if too many examples are unusable, or all of a split; nothing is published.
        OSError: if the folder cannot be written.
    """
    written = _published(work, plan)
    _check_share(work, plan, written or plan.problems, max_bad)
    if written is not None:
        return True
    missing = work.begin(plan.job, plan.items)
    plan.items.clear()
    if missing:
        make(work.folder, missing, preparable(plan.job["dataset"]).unit)
    plan.notes = [work.note(shard.key) for shard in plan.shards]
    plan.problems += _skipped(plan.notes)
    _check_share(work, plan, plan.problems, max_bad)
    _check_splits(plan)
    metadata = _metadata(plan)
    info = metadata.pop(INFO)
    others = describe(work, plan) if describe else {}
    files = {SKIPPED: encode_report(plan.problems), **others, **metadata, INFO: info}
    work.publish(plan.job, plan.shards, _file_prefix(plan.job), files)
    return False


def _file_prefix(job: Job) -> str:
    return str(job["dataset"]).replace("-", "_")


def _skipped(notes: Iterable[Mapping[str, Any]]) -> list[Problem]:
    """Return the problems of the examples that were skipped while shards were made."""
    return [Problem(**problem) for note in notes for problem in note["skipped"]]


def _published(work: WorkFolder, plan: Plan) -> list[Problem] | None:
    """Return all problems of a dataset that is complete and made of these shards, else None."""
    manifest = work.published(plan.job, plan.shards)
    if manifest is None:
        return None
    problems = [*plan.problems, *_skipped(manifest["shards"].values())]
    same = hashlib.sha256(encode_report(problems)).hexdigest() == file_digest(work.out / SKIPPED)
    return problems if same else None


def _check_share(work: WorkFolder, plan: Plan, problems: Sequence[Problem], max_bad: float) -> None:
    """Stop if too many examples are bad, with a report beside the finished shards."""
    report = work.folder / SKIPPED
    report.write_bytes(encode_report(problems))
    name = plan.job["dataset"]
    kind = preparable(name).unit[:-1]
    check_share(name, problems, total=plan.total, max_bad=max_bad, report=report, kind=kind)


def _check_splits(plan: Plan) -> None:
    """Refuse a split of the source that has no example left."""
    for split in plan.splits:
        own = [note for note in plan.notes if note["split"] == split]
        if not any(note["examples"] for note in own):
            reasons = [problem["reason"] for note in own for problem in note["skipped"]]
            reason = [plan.problems[-1].reason, *reasons][-1]
            kind = preparable(plan.job["dataset"]).unit[:-1]
            raise UserError(f"no {kind} of the {split} split can be used: {reason}")


def _metadata(plan: Plan) -> dict[str, bytes]:
    """Return the files with which TensorFlow Datasets reads the shards, by name."""
    import tensorflow_datasets as tfds

    from data.sharding.shard_writer import features

    job, name = plan.job, _file_prefix(plan.job)
    template = tfds.core.ShardedFileTemplate(
        data_dir=Path("."), dataset_name=name, filetype_suffix="tfrecord"
    )
    splits = [
        tfds.core.SplitInfo(
            name=split,
            shard_lengths=[note["examples"] for note in plan.notes if note["split"] == split],
            num_bytes=sum(note["bytes"] for note in plan.notes if note["split"] == split),
            filename_template=template.replace(split=split),
        )
        for split in dict.fromkeys(shard.split for shard in plan.shards)
    ]
    with tempfile.TemporaryDirectory() as folder:
        identity = tfds.core.dataset_info.DatasetIdentity(
            name=name, version=tfds.core.Version(VERSION), data_dir=folder, module_name=""
        )
        info = tfds.core.DatasetInfo(
            builder=identity,
            description="Prepared by Wordreel; manifest.json says from what.",
            features=features(job),
            metadata=tfds.core.MetadataDict(preparable(job["dataset"]).metadata(job["options"])),
        )
        info.set_splits(tfds.core.splits.SplitDict(splits))
        info.write_to_directory(folder)
        return {path.name: path.read_bytes() for path in sorted(Path(folder).iterdir())}
