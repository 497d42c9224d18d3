"""`wordreel prepare`: write a dataset with the workers of Beam, with a summary and samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from data.annotations.problems import summary
from data.sharding.shards import Shard, WorkFolder
from data.sharding.work_items import DIGESTS
from data.sharding.write_dataset import Plan, lock, new_job, plan_dataset, write_dataset
from data.storage.manifest import SKIPPED

SUMMARY = "summary.txt"


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
    """Prepare a dataset in `out`; an interrupted preparation resumes.

    Args:
        dataset: its name.
        source: its folder.
        out: a new or empty folder, or one of the same job.
        options: see `data.storage.dataset_info.Dataset.options`.
        encoder: of features to store, see `pipelines.inputs.frozen_encoder.settings`.
        pixels: whether images are stored, not only features.
        max_bad: the largest share of examples that may be unusable.
        beam_options: for `pipelines.jobs.beam.run`.

    Returns:
        The summary, a text.

    Raises:
        UserError: for a mistake that the user can fix.
        OSError: if `out` cannot be written.
    """

    def make(work: Path, missing: Sequence[Shard], unit: str) -> None:
        from pipelines.jobs import beam

        beam.run(work, missing, unit, beam_options)

    job, place = new_job(dataset, options, encoder, pixels), WorkFolder(out)
    with lock(place):
        plan = plan_dataset(source, job, place.folder / DIGESTS)
        again = write_dataset(place, plan, max_bad=max_bad, make=make, describe=_describe)
    return (out / SUMMARY).read_text(encoding="utf-8") + "prepared before\n" * again


def _describe(place: WorkFolder, plan: Plan) -> dict[str, bytes]:
    """Return the summary, and a page with samples."""
    from pipelines.jobs.summary import describe, samples_page

    text = describe(place, plan)
    if plan.problems:
        counts = summary(plan.problems)
        text += f"skipped or odd: {counts}; each is named in {place.out / SKIPPED}\n"
    return {SUMMARY: text.encode(), "samples.html": samples_page(place, plan, text).encode()}
