"""The report of a run that learned sentences: what was learned, and where it fails."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pipelines.config.config import Config
from pipelines.config.task import TASKS
from pipelines.evaluation.metrics import CAPTIONS, Metrics
from pipelines.reports.page import write_page
from pipelines.reports.thumbnails import Show, Shown, thumbnail, veil

if TYPE_CHECKING:
    from pipelines.evaluation.captions import Evaluation, Prediction

SAMPLES, LOOKS, BEST, WORST = 8, 3, 4, 8  # examples shown a split; looks are samples


def write_report(
    path: Path | str,
    *,
    config: Config,
    history: Sequence[Mapping[str, float]],
    evaluations: Sequence[Evaluation],
    shown: Show,
    notes: Sequence[str],
    command: str,
    export: Path | None,
    metrics: Metrics = CAPTIONS,
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
        metrics: how sentences are judged.

    Raises:
        OSError: if the file cannot be written; one that was there stays as it was.
    """
    measures = {
        "loss": ("Training loss", 1),
        **{name: (f"{name} on validation", 100) for name in metrics.curves},
        "true": ("Wholly true captions, %", 100),
    }
    write_page(
        path,
        "report.html",
        what=f"{TASKS[config.task].answer}s".capitalize(),
        config=config,
        history=history,
        measures=measures,
        monitor="true" if history and "true" in history[0] else metrics.monitor,
        splits=[_split(evaluation, shown) for evaluation in evaluations],
        notes=notes,
        command=command,
        export=export,
    )


def _split(evaluation: Evaluation, shown: Show) -> dict[str, Any]:
    """Return what the template shows of a split."""
    ids = list(evaluation.predictions)
    best, worst = _extremes(evaluation)
    samples = ids[:: max(1, len(ids) // SAMPLES)][:SAMPLES]
    seen = {name: shown(evaluation.split, name) for name in {*best, *worst, *samples}}
    cards = {name: _card(evaluation, name, what) for name, what in seen.items()}
    return {
        "name": evaluation.split,
        "corpus": {name: 100 * score for name, score in evaluation.scores.corpus.items()},
        "diversity": evaluation.scores.diversity,
        "truth": evaluation.truth and (sum(evaluation.truth.values()), len(evaluation.truth)),
        "slots": evaluation.scores.slots,
        "signature": evaluation.signature,
        "samples": [cards[name] for name in samples],
        "looks": [
            {**cards[name], "words": words}
            for name in samples[:LOOKS]
            if (words := _looks(evaluation.predictions[name], seen[name].grid))
        ],
        "times": [
            {**cards[name], "words": bars}
            for name in samples[:LOOKS]
            if (bars := _times(evaluation.predictions[name], seen[name].grid))
        ],
        "alignments": [
            {**cards[name], "from": seen[name].words, "to": said}
            for name in samples[:LOOKS]
            if (said := _alignment(evaluation.predictions[name], seen[name].words))
        ],
        "by": evaluation.scores.by,
        "best": [cards[name] for name in best],
        "worst": [cards[name] for name in worst],
    }


def _extremes(evaluation: Evaluation) -> tuple[list[str], list[str]]:
    """Return the ids of the best and the worst captions, each from its end; none is in both.

    By the score of each, and where the truth is known, a false caption is worse than any true one.
    """
    truth = evaluation.truth or {}
    each = evaluation.scores.each
    order = sorted(evaluation.predictions, key=lambda name: (truth.get(name, True), each[name]))
    worst = order[: min(WORST, (len(order) + 1) // 2)]
    best = order[len(worst) :][-BEST:]
    return best[::-1], worst


def _card(evaluation: Evaluation, name: str, shown: Shown) -> dict[str, Any]:
    prediction = evaluation.predictions[name]
    return {
        "name": name,
        "text": shown.text,
        "picture": thumbnail(shown.picture) if shown.picture is not None else None,
        "captions": list(zip(prediction.captions, prediction.scores, strict=True)),
        "references": evaluation.references[name],
        "each": 100 * evaluation.scores.each[name],
        "true": evaluation.truth[name] if evaluation.truth is not None else None,
    }


def _looks(prediction: Prediction, grid: tuple[int, int] | None) -> list[tuple[str, str]]:
    """Return each word with a veil, dark where the model did not look at it."""
    if grid is None or grid[0] == 1 or not prediction.attention.size:
        return []
    return [
        (word, veil(np.asarray(row, np.float64).reshape(grid)))
        for word, row in zip(prediction.words, prediction.attention, strict=True)
    ]


def _times(prediction: Prediction, grid: tuple[int, int] | None) -> list[tuple[str, list[float]]]:
    """Return each word with the height of a bar a frame of a clip, a share of the highest."""
    if grid is None or grid[0] != 1 or not prediction.attention.size:
        return []
    frames = prediction.attention.reshape(len(prediction.words), grid[1], -1).sum(axis=-1)
    return [
        (word, (row / max(row.max(), 1e-9)).tolist())
        for word, row in zip(prediction.words, frames, strict=True)
    ]


def _alignment(prediction: Prediction, words: Sequence[str]) -> list[tuple[str, list[float]]]:
    """Return each word said with the share of attention that each word read had."""
    if not words or not prediction.attention.size:
        return []
    return [
        (word, row.tolist())
        for word, row in zip(prediction.words, prediction.attention, strict=True)
    ]
