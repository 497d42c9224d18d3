"""The report of the captions or translations of a split."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pipelines.evaluation.captions import Evaluation, Prediction
from pipelines.reports.page import SplitReport
from pipelines.reports.thumbnails import Preview, PreviewOf, attention_overlay, thumbnail

SAMPLES, WITH_ATTENTION, BEST, WORST = 8, 3, 4, 8  # examples per split


def caption_report(evaluation: Evaluation, preview_of: PreviewOf) -> SplitReport:
    """Return the report of a split."""
    ids = list(evaluation.predictions)
    best, worst = _extremes(evaluation)
    samples = ids[:: max(1, len(ids) // SAMPLES)][:SAMPLES]
    previews = {name: preview_of(evaluation.split, name) for name in {*best, *worst, *samples}}
    cards = {name: _card(evaluation, name, preview) for name, preview in previews.items()}
    overlays, bars, alignments = [], [], []
    for name in samples[:WITH_ATTENTION]:
        prediction, preview = evaluation.predictions[name], previews[name]
        if not prediction.attention.size:
            continue
        if preview.words:
            rows = {"columns": preview.words, "rows": _weights(prediction, prediction.attention)}
            alignments.append(cards[name] | rows)
        elif preview.grid and preview.grid[0] == 1:
            bars.append(cards[name] | {"words": _bars(prediction, preview.grid[1])})
        elif preview.grid:
            overlays.append(cards[name] | {"words": _overlays(prediction, preview.grid)})
    scores, correct = evaluation.scores, evaluation.fully_correct
    details = {
        "is_checked": correct is not None,
        "samples": [cards[name] for name in samples],
        "overlays": overlays,
        "bars": bars,
        "alignments": alignments,
        "item_metric": scores.item_metric,
        "best": [cards[name] for name in best],
        "worst": [cards[name] for name in worst],
    }
    percent = evaluation.percent_correct
    checked = {} if percent is None else {"fully correct": percent}
    intervals = {name.replace("_", " "): ends for name, ends in evaluation.intervals().items()}
    return SplitReport(
        evaluation.split,
        checked | dict(scores.corpus),
        evaluation.signature,
        "The best sentence compared with the references, on a scale of 0 to 100. Only scores with "
        "the same signature can be compared.",
        evaluation.examples,
        intervals,
        _remarks(evaluation),
        "captions.html",
        details,
    )


def _remarks(evaluation: Evaluation) -> list[str]:
    """Return sentences about the diversity and the correctness of the captions."""
    found, correct = evaluation.scores.diversity, evaluation.fully_correct
    remarks = [
        f"{found.distinct:,} distinct sentences for {found.captions:,} examples, "
        f"{found.vocabulary:,} distinct words, {found.mean_length:.1f} words on average."
    ]
    if correct is not None:
        remarks.append(f"{sum(correct.values()):,} of {len(correct):,} captions are fully correct.")
    if positions := evaluation.scores.position_accuracies:
        values = ", ".join(f"{value:.0f} %" for value in positions)
        remarks.append(f"Correct words at each position of the sentence: {values}.")
    return remarks


def _extremes(evaluation: Evaluation) -> tuple[list[str], list[str]]:
    """Return the ids of the best and of the worst captions, from the extreme on; none in both.

    They are ordered by the score of each; incorrect captions rank below all fully correct ones.
    """
    correct = evaluation.fully_correct or {}
    per_item = evaluation.scores.per_item
    order = sorted(
        evaluation.predictions, key=lambda name: (correct.get(name, True), per_item[name])
    )
    worst = order[: min(WORST, (len(order) + 1) // 2)]
    best = order[len(worst) :][-BEST:]
    return best[::-1], worst


def _card(evaluation: Evaluation, name: str, preview: Preview) -> dict[str, Any]:
    prediction, correct = evaluation.predictions[name], evaluation.fully_correct
    return {
        "name": name,
        "text": preview.text,
        "image": thumbnail(preview.image) if preview.image is not None else None,
        "captions": list(zip(prediction.captions, prediction.scores, strict=True)),
        "references": evaluation.references[name],
        "score": evaluation.scores.per_item[name],
        "correct": correct[name] if correct is not None else None,
    }


def _overlays(prediction: Prediction, grid: Sequence[int]) -> list[tuple[str, str]]:
    """Return each word with an overlay for the image, dark at low weights."""
    return [
        (word, attention_overlay(np.asarray(row, np.float64).reshape(grid)))
        for word, row in zip(prediction.words, prediction.attention, strict=True)
    ]


def _bars(prediction: Prediction, frames: int) -> list[tuple[str, list[float]]]:
    """Return each word with the weight of each frame, relative to its highest."""
    weights = prediction.attention.reshape(len(prediction.words), frames, -1).sum(axis=-1)
    return _weights(prediction, weights / np.maximum(weights.max(axis=1, keepdims=True), 1e-9))


def _weights(prediction: Prediction, weights: np.ndarray) -> list[tuple[str, list[float]]]:
    return list(zip(prediction.words, weights.tolist(), strict=True))
