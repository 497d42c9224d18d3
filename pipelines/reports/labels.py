"""The report of a run that learned labels: scores, who is taken for whom, the worst mistakes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.config.config import Config
from pipelines.evaluation.labels import LabelEvaluation
from pipelines.reports.page import write_page
from pipelines.reports.thumbnails import Show, heat, thumbnail

SAMPLES, WORST, MOST_CLASSES = 8, 12, 20
_MEASURES = {
    "loss": ("Training loss", 1),
    "accuracy": ("Accuracy on validation, %", 100),
    "top-5": ("Top 5 on validation, %", 100),
    "macro-F1": ("Mean F1 on validation", 100),
}


def write_label_report(
    path: Path | str,
    *,
    config: Config,
    history: Sequence[Mapping[str, float]],
    evaluations: Sequence[LabelEvaluation],
    shown: Show,
    notes: Sequence[str],
    command: str,
    export: Path | None,
) -> None:
    """Write the report of a run.

    Args:
        path: the file to write.
        config: what was run.
        history: a record an epoch: epoch, loss and the validation scores.
        evaluations: of the splits scored at the end.
        shown: (split, id) → what to show of an input; asked only for those shown.
        notes: warnings, shown at the top.
        command: that started the run.
        export: the folder of the SavedModel.

    Raises:
        OSError: if the file cannot be written; one that was there stays as it was.
    """
    write_page(
        path,
        "labels.html",
        config=config,
        history=history,
        measures=_MEASURES,
        monitor="accuracy",
        splits=[_split(evaluation, shown) for evaluation in evaluations],
        notes=notes,
        command=command,
        export=export,
    )


def _split(evaluation: LabelEvaluation, shown: Show) -> dict[str, Any]:
    """Return what the template shows of a split."""
    step = max(1, len(evaluation.ids) // SAMPLES)
    confusion, classes = evaluation.confusion, evaluation.classes
    shares = confusion / np.maximum(1, confusion.sum(axis=1, keepdims=True))
    few = len(classes) <= MOST_CLASSES
    pairs = [
        (int(confusion[i, j]), classes[i], classes[j])
        for i in range(len(classes))
        for j in range(len(classes))
        if i != j and confusion[i, j]
    ]
    return {
        "name": evaluation.split,
        "scores": {name: 100 * value for name, value in evaluation.summary().items()},
        "signature": evaluation.signature,
        "classes": evaluation.per_class(),
        "confusion": few
        and [
            (name, list(zip(row.tolist(), own.tolist(), strict=True)))
            for name, row, own in zip(classes, confusion, shares, strict=True)
        ],
        "heat": None if few else heat(shares),
        "pairs": sorted(pairs, reverse=True)[:MOST_CLASSES],
        "samples": [
            _row(evaluation, n, shown) for n in range(0, len(evaluation.ids), step)[:SAMPLES]
        ],
        "worst": [_row(evaluation, n, shown) for n in evaluation.worst(WORST)],
    }


def _row(evaluation: LabelEvaluation, number: int, shown: Show) -> dict[str, Any]:
    said, true = int(evaluation.said[number]), int(evaluation.truth[number])
    name = evaluation.ids[number]
    what = shown(evaluation.split, name)
    return {
        "id": name,
        "text": what.text,
        "picture": thumbnail(what.picture) if what.picture is not None else None,
        "said": evaluation.classes[said],
        "sure": 100 * float(evaluation.probabilities[number, said]),
        "true": evaluation.classes[true],
        "right": said == true,
    }
