"""The files of a finished run: predictions, the export, the report and the metrics."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from data.annotations.problems import read_report, summary
from data.common.files import atomic_write
from data.sharding.datasets import license_of
from pipelines.config.run_directory import METRICS
from pipelines.export.bundle.serving_files import write_serving_files
from pipelines.export.layout import find_published
from pipelines.export.version import remove_unpublished
from pipelines.reports import page
from pipelines.tasks.assembly import Experiment
from pipelines.tasks.protocols import Evaluation


def write_export(
    experiment: Experiment, folder: Path, evaluations: Sequence[Evaluation], command: str
) -> Path:
    """Write the predictions and the export; return the version's folder.

    A start that was killed after it had published the version published it for all later ones.
    """
    for evaluation in evaluations:
        evaluation.write(folder / evaluation.file_name)
    info = {
        "config": dataclasses.asdict(experiment.config),
        "metrics": _scores(evaluations),
        "command": command,
        "licence": license_of(experiment.config.data),
    }
    trained = {name: info[name] for name in ("config", "metrics")}
    if (published := find_published(folder / "export", trained)) is not None:
        remove_unpublished(published.parent)
        write_serving_files(published)
        return published
    return experiment.model.export(folder / "export", info)


def write_report(
    experiment: Experiment,
    folder: Path,
    evaluations: Sequence[Evaluation],
    history: Sequence[Mapping[str, float]],
    command: str,
    export: Path,
    facts: Mapping[str, str],
) -> None:
    """Write report.html, with all notes and warnings; `facts` are about the process."""
    problems = experiment.source.prepared.problems
    warnings = [text for evaluation in evaluations for text in evaluation.warnings()]
    for text in warnings:
        print(text)
    notes = [*warnings, *experiment.source.notes, *experiment.head.notes]
    if problems.exists() and (found := read_report(problems)):
        notes.append(f"Problems in the data: {summary(found)}; see {problems}")
    page.write_report(
        folder / "report.html",
        experiment.config,
        [experiment.head.split_report(each, experiment.source.preview) for each in evaluations],
        experiment.head.curves,
        experiment.head.monitor,
        history=history,
        notes=notes,
        command=command,
        export=export,
        facts=facts,
    )


def write_metrics(
    folder: Path,
    evaluations: Sequence[Evaluation],
    history: Sequence[Mapping[str, float]],
    export: Path,
) -> None:
    """Write summary.txt and metrics.json, and print the summary."""
    lines = [line for evaluation in evaluations for line in ("", *evaluation.lines())]
    lines += ["", f"report  {folder / 'report.html'}", f"export  {export}", ""]
    text = "\n".join(lines)
    with atomic_write(folder / "summary.txt") as file:
        file.write(text)
    with atomic_write(folder / METRICS) as file:  # last: it marks the run as complete
        json.dump({"history": history, "splits": _scores(evaluations)}, file, indent=2)
    print(text, end="")


def _scores(evaluations: Sequence[Evaluation]) -> dict[str, dict[str, object]]:
    """Return the scores of each split, as metrics.json and wordreel.json have them."""
    return {
        each.split: {
            **each.summary(),
            "examples": each.examples,
            "intervals": {name: list(ends) for name, ends in each.intervals().items()},
            "warnings": each.warnings(),
            "signature": each.signature,
        }
        for each in evaluations
    }
