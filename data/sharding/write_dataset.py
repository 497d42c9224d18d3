"""From a source to a dataset on disk: plan the shards, make the missing ones, publish them all.

A killed run leaves nothing readable; the next one makes only what is missing. Training does this
in its own process, `wordreel prepare` on the workers of Beam.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

from data.annotations.entries import Problem
from data.annotations.problems import check_share, encode_report
from data.common.errors import UserError
from data.sharding.datasets import load_annotations, preparable
from data.sharding.shards import FORMAT, Shard, WorkFolder, plan_shards
from data.sharding.work_items import Item, hash_files, remove_duplicates
from data.storage.fingerprints import file_digest
from data.storage.manifest import INFO, SKIPPED, read_manifest

VERSION = "1.0.0"  # of the format, for TensorFlow Datasets

Job = Mapping[str, Any]
# Makes shards; gets the work folder, the missing shards and the unit of progress.
Make = Callable[[Path, Sequence[Shard], str], None]


@dataclass
class Plan:
    """What a dataset will consist of.

    Attributes:
        shards: with their items.
        problems: of the source.
        total: the number of examples, the bad ones included.
        splits: that the source has.
    """

    shards: dict[Shard, list[Item]]
    problems: list[Problem]
    total: int
    splits: tuple[str, ...]

    @property
    def fingerprint(self) -> str:
        """16 hex digits that change with the content of the source and the options."""
        keys = [shard.key for shard in self.shards]
        return hashlib.sha256(json.dumps([FORMAT, keys]).encode()).hexdigest()[:16]


@dataclass
class Written:
    """A dataset whose shards are all made.

    Attributes:
        job: what was made.
        shards: all of them.
        notes: what became of each.
        problems: of the source and of the files.
    """

    job: Job
    shards: Sequence[Shard]
    notes: Sequence[Mapping[str, Any]]
    problems: Sequence[Problem]


# Returns further files of a dataset, such as a summary, by name.
Describe = Callable[[WorkFolder, Written], Mapping[str, bytes]]


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
    annotations = load_annotations(job["dataset"], source, job["options"])
    items, duplicates = remove_duplicates(
        hash_files(annotations.entries, digests), dataset.unit[:-1]
    )
    shards = plan_shards(items, job, dataset.shard_size)
    if not shards:
        raise UserError(f"{dataset.name}: no {dataset.unit} in {source}")
    problems = [*annotations.problems, *duplicates]
    splits = tuple(dict.fromkeys(entry.split for entry in annotations.entries))
    return Plan(shards, problems, annotations.total, splits)


def write_dataset(
    work: WorkFolder, job: Job, plan: Plan, *, max_bad: float, make: Make, describe: Describe
) -> bool:
    """Write a dataset unless it is there, from wherever the last attempt stopped.

    The caller holds the `lock` of the folder.

    Args:
        work: its work folder.
        job: see `new_job`.
        plan: of the same job; its items are dropped, for they take memory.
        max_bad: the largest share of examples that may be unusable.
        make: makes shards.
        describe: returns further files.

    Returns:
        Whether it was there.

    Raises:
        UserError: if too many examples are unusable, or all of a split; nothing is published.
        OSError: if the folder cannot be written.
    """
    dataset, shards = preparable(job["dataset"]), [*plan.shards]
    written = _published(work, job, plan)
    _check_share(work, job, written or plan.problems, plan.total, max_bad)
    if written is not None:
        return True
    missing = work.begin(job, plan.shards)
    plan.shards.clear()
    if missing:
        make(work.folder, missing, dataset.unit)
    notes = [work.note(shard.key) for shard in shards]
    problems = [*plan.problems, *_skipped(notes)]
    _check_share(work, job, problems, plan.total, max_bad)
    _check_splits(dataset.unit[:-1], plan.splits, notes, problems)
    done = Written(job, shards, notes, problems)
    name, metadata = job["dataset"].replace("-", "_"), _metadata(done)
    info = metadata.pop(INFO)
    files = {SKIPPED: encode_report(problems), **describe(work, done), **metadata, INFO: info}
    work.publish(job, shards, name, files)
    return False


def _skipped(notes: Iterable[Mapping[str, Any]]) -> list[Problem]:
    """Return the problems of the examples that were skipped while shards were made."""
    return [Problem(**problem) for note in notes for problem in note["skipped"]]


def _published(work: WorkFolder, job: Job, plan: Plan) -> list[Problem] | None:
    """Return all problems of a dataset that is complete and made of these shards, else None."""
    if not work.is_published(job, [*plan.shards]):
        return None
    manifest = read_manifest(work.out)
    assert manifest is not None
    problems = [*plan.problems, *_skipped(manifest["shards"].values())]
    same = hashlib.sha256(encode_report(problems)).hexdigest() == file_digest(work.out / SKIPPED)
    return problems if same else None


def _check_share(
    work: WorkFolder, job: Job, problems: Sequence[Problem], total: int, max_bad: float
) -> None:
    """Stop if too many examples are bad, with a report beside the finished shards."""
    report = work.folder / SKIPPED
    report.write_bytes(encode_report(problems))
    kind = preparable(job["dataset"]).unit[:-1]
    check_share(job["dataset"], problems, total=total, max_bad=max_bad, report=report, kind=kind)


def _check_splits(
    kind: str,
    splits: Sequence[str],
    notes: Sequence[Mapping[str, Any]],
    problems: Sequence[Problem],
) -> None:
    """Refuse a split of the source that has no example left."""
    for split in splits:
        if not any(note["examples"] for note in notes if note["split"] == split):
            reasons = [each for note in notes if note["split"] == split for each in note["skipped"]]
            reason = reasons[-1]["reason"] if reasons else problems[-1].reason
            raise UserError(f"no {kind} of the {split} split can be used: {reason}")


def _metadata(written: Written) -> dict[str, bytes]:
    """Return the files with which TensorFlow Datasets reads the shards, by name."""
    import tensorflow_datasets as tfds

    from data.sharding.shard_writer import features

    job, notes = written.job, written.notes
    dataset, name = preparable(job["dataset"]), job["dataset"].replace("-", "_")
    template = tfds.core.ShardedFileTemplate(
        data_dir=Path("."), dataset_name=name, filetype_suffix="tfrecord"
    )
    splits = [
        tfds.core.SplitInfo(
            name=split,
            shard_lengths=[note["examples"] for note in notes if note["split"] == split],
            num_bytes=sum(note["bytes"] for note in notes if note["split"] == split),
            filename_template=template.replace(split=split),
        )
        for split in dict.fromkeys(shard.split for shard in written.shards)
    ]
    with tempfile.TemporaryDirectory() as folder:
        identity = tfds.core.dataset_info.DatasetIdentity(
            name=name, version=tfds.core.Version(VERSION), data_dir=folder, module_name=""
        )
        info = tfds.core.DatasetInfo(
            builder=identity,
            description="Prepared by Wordreel; manifest.json says from what.",
            features=features(job),
            metadata=tfds.core.MetadataDict(dataset.metadata(job["options"])),
        )
        info.set_splits(tfds.core.splits.SplitDict(splits))
        info.write_to_directory(folder)
        return {path.name: path.read_bytes() for path in sorted(Path(folder).iterdir())}
