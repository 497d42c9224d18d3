"""The report of the labels of a split: scores, confusion matrix, worst errors."""

from __future__ import annotations

from typing import Any

import numpy as np

from pipelines.evaluation.labels import LabelEvaluation
from pipelines.reports.page import SplitReport
from pipelines.reports.thumbnails import PreviewOf, heatmap, thumbnail

SAMPLES, WORST, MAX_CLASSES = 8, 12, 20


def label_report(evaluation: LabelEvaluation, preview_of: PreviewOf) -> SplitReport:
    """Return the report of a split."""
    step = max(1, len(evaluation.ids) // SAMPLES)
    confusion, classes = evaluation.confusion, evaluation.classes
    shares = confusion / np.maximum(1, confusion.sum(axis=1, keepdims=True))
    few = len(classes) <= MAX_CLASSES
    pairs = [
        (int(confusion[i, j]), classes[i], classes[j])
        for i, j in np.argwhere(confusion).tolist()
        if i != j
    ]
    details = {
        "classes": evaluation.per_class(),
        "confusion": few
        and [
            (name, list(zip(row.tolist(), own.tolist(), strict=True)))
            for name, row, own in zip(classes, confusion, shares, strict=True)
        ],
        "heatmap": None if few else heatmap(shares),
        "pairs": sorted(pairs, reverse=True)[:MAX_CLASSES],
        "samples": [
            _example(evaluation, n, preview_of)
            for n in range(0, len(evaluation.ids), step)[:SAMPLES]
        ],
        "worst": [_example(evaluation, n, preview_of) for n in evaluation.worst(WORST)],
    }
    return SplitReport(
        evaluation.split,
        evaluation.summary(),
        evaluation.signature,
        "The most probable class compared with the true one, on a scale of 0 to 100.",
        evaluation.examples,
        evaluation.intervals(),
        template="labels.html",
        details=details,
    )


def _example(evaluation: LabelEvaluation, index: int, preview_of: PreviewOf) -> dict[str, Any]:
    predicted, true = int(evaluation.predicted[index]), int(evaluation.truth[index])
    name = evaluation.ids[index]
    preview = preview_of(evaluation.split, name)
    return {
        "id": name,
        "text": preview.text,
        "image": thumbnail(preview.image) if preview.image is not None else None,
        "predicted": evaluation.classes[predicted],
        "confidence": 100 * float(evaluation.probabilities[index, predicted]),
        "true": evaluation.classes[true],
        "correct": predicted == true,
    }
