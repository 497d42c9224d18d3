"""From a source to a prepared dataset: plan the shards, make those that are missing, show them."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from data.annotations.entries import Problem
from data.annotations.problems import check_share, summary
from data.common.errors import UserError
from data.sharding.dataset_kinds import kind_of, list_source
from data.sharding.shards import Shard, Workplace, plan
from data.sharding.work_items import DIGESTS, Item, hashed, sort_out
from data.storage.fingerprints import content
from data.storage.manifest import INFO, SKIPPED, problems_of, read_manifest, skipped_lines


def prepare(
    dataset: str,
    source: str | None,
    out: Path,
    *,
    options: Mapping[str, Any],
    encoder: Mapping[str, Any] | None = None,
    pixels: bool = True,
    max_bad: float = 0.01,
    beam_options: Sequence[str] = (),
) -> str:
    """Prepare a dataset in `out`, from wherever the last attempt was left.

    Args:
        dataset: its name.
        source: the folder it lies in.
        out: where it goes: a new or empty folder, or one of the same job.
        options: of its kind, see `data.sharding.dataset_kinds`.
        encoder: see `pipelines.inputs.frozen_encoder.settings`; its features are stored as well.
        pixels: whether pictures are stored beside features.
        max_bad: the largest share of examples that may be unusable.
        beam_options: for `pipelines.jobs.beam.run`.

    Returns:
        The summary, a text.

    Raises:
        UserError: for what the user can mend; the same command goes on.
        OSError: if `out` cannot be written.
    """
    from data.storage.builders import alone

    job = {"dataset": dataset, "options": options, "encoder": encoder, "pixels": pixels}
    place = Workplace(out)
    place.folder.mkdir(parents=True, exist_ok=True)
    with alone(place.folder / "lock"):
        kind = kind_of(dataset)
        planned, known, total = _plan(dataset, source, job, place)
        shards = [*planned]
        if not shards:
            raise UserError(f"{dataset}: no {kind.unit} in {source}")
        if _is_shown(place, job, shards, known):
            return (out / "summary.txt").read_text(encoding="utf-8") + "prepared before\n"
        _check(dataset, known, total, max_bad, out, kind.unit)  # need not wait for the rest
        missing = place.begin(job, planned)
        planned.clear()  # it is written down: the list of a source takes memory
        if missing:
            from pipelines.jobs.beam import run

            run(place.folder, missing, kind.unit, beam_options)
        notes = [place.note(shard.key) for shard in shards]
        problems = [*known, *problems_of(notes)]
        _check(dataset, problems, total, max_bad, out, kind.unit)
        return _show(place, job, shards, notes, problems)


def _plan(
    dataset: str, source: str | None, job: Mapping[str, Any], place: Workplace
) -> tuple[dict[Shard, list[Item]], list[Problem], int]:
    """Return shards with their items, what is wrong, and how much there is, the bad included."""
    kind = kind_of(dataset)
    listing = list_source(dataset, source, job["options"])
    items, doubles = sort_out(hashed(listing.entries, place.folder / DIGESTS), kind.unit[:-1])
    return plan(items, job, kind.most), [*listing.problems, *doubles], listing.total


def _is_shown(
    place: Workplace, job: Mapping[str, Any], shards: Sequence[Shard], known: Sequence[Problem]
) -> bool:
    if not place.is_shown(job, shards):
        return False
    manifest = read_manifest(place.out)
    assert manifest is not None
    problems = [*known, *problems_of(manifest["shards"].values())]
    return content(place.out / SKIPPED) == _digest(skipped_lines(problems))


def _digest(text: bytes) -> str:
    import hashlib

    return hashlib.sha256(text).hexdigest()


def _check(
    dataset: str,
    problems: Sequence[Problem],
    total: int,
    max_bad: float,
    out: Path,
    unit: str,
) -> None:
    """Stop where too much is bad, with a report beside what is finished."""
    report = out / ".work" / SKIPPED
    report.write_bytes(skipped_lines(problems))
    check_share(dataset, problems, total=total, max_bad=max_bad, report=report, kind=unit[:-1])


def _show(
    place: Workplace,
    job: Mapping[str, Any],
    shards: Sequence[Shard],
    notes: Sequence[Mapping[str, Any]],
    problems: Sequence[Problem],
) -> str:
    from pipelines.jobs.summary import describe, sheet

    name = job["dataset"].replace("-", "_")
    text = describe(place, job["dataset"], shards, notes, problems)
    if problems:
        text += f"skipped or odd: {summary(problems)}; each is named in {place.out / SKIPPED}\n"
    metadata = _metadata(name, job, shards, notes)
    info = metadata.pop(INFO)
    files = {
        SKIPPED: skipped_lines(problems),
        "summary.txt": text.encode(),
        "samples.html": sheet(place, job, shards, text).encode(),
        **metadata,
        INFO: info,
    }
    place.show(job, shards, name, files)
    return text


def _metadata(
    name: str,
    job: Mapping[str, Any],
    shards: Sequence[Shard],
    notes: Sequence[Mapping[str, Any]],
) -> dict[str, bytes]:
    """Return the files with which TensorFlow Datasets reads the shards, by name."""
    import tensorflow_datasets as tfds

    from data.sharding.shard_writer import features
    from data.storage.builders import VERSION

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
        for split in dict.fromkeys(shard.split for shard in shards)
    ]
    with tempfile.TemporaryDirectory() as folder:
        identity = tfds.core.dataset_info.DatasetIdentity(
            name=name, version=tfds.core.Version(VERSION), data_dir=folder, module_name=""
        )
        info = tfds.core.DatasetInfo(
            builder=identity,
            description="Prepared by Wordreel; manifest.json says from what.",
            features=features(job),
            metadata=tfds.core.MetadataDict(kind_of(job["dataset"]).metadata(job["options"])),
        )
        info.set_splits(tfds.core.splits.SplitDict(splits))
        info.write_to_directory(folder)
        return {path.name: path.read_bytes() for path in sorted(Path(folder).iterdir())}
