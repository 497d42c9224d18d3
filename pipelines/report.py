"""The report of a run that learned captions: what was learned, and where it fails."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from pipelines.config import Config
from pipelines.report_page import write_page

if TYPE_CHECKING:
    from pipelines.evaluation import Evaluation, Prediction

Picture = Callable[[str, str], bytes]  # (split, image_id) → encoded

SAMPLES, LOOKS, BEST, WORST = 8, 3, 4, 8  # pictures shown a split; looks are samples
SIDE = 320  # pixels of a thumbnail's longer side
_MEASURES = {
    "loss": ("Training loss", 1),
    "CIDEr-D": ("CIDEr-D on validation", 100),
    "BLEU-4": ("BLEU-4 on validation", 100),
    "true": ("Wholly true captions, %", 100),
}


def write_report(
    path: Path | str,
    *,
    config: Config,
    history: Sequence[Mapping[str, float]],
    evaluations: Sequence[Evaluation],
    picture_of: Picture,
    grid: tuple[int, int] | None,
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
        picture_of: (split, image_id) → the encoded picture; asked only for those shown.
        grid: rows and columns of the cells that attention falls on; None if there is none.
        notes: warnings, shown at the top.
        command: that started the run.
        export: the folder of the SavedModel.

    Raises:
        OSError: if the file cannot be written; one that was there stays as it was.
    """
    write_page(
        path,
        "report.html",
        config=config,
        history=history,
        measures=_MEASURES,
        monitor="true" if history and "true" in history[0] else "CIDEr-D",
        splits=[_split(evaluation, picture_of, grid) for evaluation in evaluations],
        notes=notes,
        command=command,
        export=export,
    )


def _split(evaluation: Evaluation, picture_of: Picture, grid: tuple[int, int] | None) -> Any:
    """Return what the template shows of a split."""
    ids = list(evaluation.predictions)
    best, worst = _extremes(evaluation)
    samples = ids[:: max(1, len(ids) // SAMPLES)][:SAMPLES]
    thumbnails = {
        name: _thumbnail(picture_of(evaluation.split, name)) for name in {*best, *worst, *samples}
    }

    def cards(names: Sequence[str]) -> list[dict[str, Any]]:
        return [_card(evaluation, name, thumbnails[name]) for name in names]

    return {
        "name": evaluation.split,
        "corpus": {name: 100 * score for name, score in evaluation.scores.corpus.items()},
        "diversity": evaluation.scores.diversity,
        "truth": evaluation.truth and (sum(evaluation.truth.values()), len(evaluation.truth)),
        "signature": evaluation.signature,
        "samples": cards(samples),
        "looks": [
            {
                **card,
                "words": _looks(evaluation.predictions[card["name"]], grid),
            }
            for card in cards(samples[:LOOKS])
            if grid is not None and evaluation.predictions[card["name"]].attention.size
        ],
        "best": cards(best),
        "worst": cards(worst),
    }


def _extremes(evaluation: Evaluation) -> tuple[list[str], list[str]]:
    """Return the ids of the best and the worst captions, each from its end; none is in both.

    By CIDEr-D, and where the truth is known, a false caption is worse than any true one.
    """
    truth = evaluation.truth or {}
    each = evaluation.scores.cider_d
    order = sorted(evaluation.predictions, key=lambda name: (truth.get(name, True), each[name]))
    worst = order[: min(WORST, (len(order) + 1) // 2)]
    best = order[len(worst) :][-BEST:]
    return best[::-1], worst


def _card(evaluation: Evaluation, name: str, thumbnail: tuple[str, int, int]) -> dict[str, Any]:
    prediction = evaluation.predictions[name]
    picture, width, height = thumbnail
    return {
        "name": name,
        "picture": picture,
        "width": width,
        "height": height,
        "captions": list(zip(prediction.captions, prediction.scores, strict=True)),
        "references": evaluation.references[name],
        "cider_d": 100 * evaluation.scores.cider_d[name],
        "true": evaluation.truth[name] if evaluation.truth is not None else None,
    }


def _thumbnail(encoded: bytes) -> tuple[str, int, int]:
    """Return a small JPEG as a data URI, its width and its height."""
    picture = Image.open(io.BytesIO(encoded)).convert("RGB")
    scale = SIDE / max(picture.size)
    if scale < 1 or scale > 2:  # drawn scenes are tiny: the browser would blur them
        scale = min(scale, 3)
        width, height = (max(1, round(side * scale)) for side in picture.size)
        picture = picture.resize((width, height), Image.Resampling.LANCZOS)
    return (_data_uri(picture, "JPEG", quality=80), *picture.size)


def _looks(prediction: Prediction, grid: tuple[int, int]) -> list[tuple[str, str]]:
    """Return each word with a veil, dark where the model did not look at it."""
    return [
        (word, _veil(np.asarray(row, np.float64).reshape(grid)))
        for word, row in zip(prediction.words, prediction.attention, strict=True)
    ]


def _veil(attention: np.ndarray) -> str:
    """Return a black picture, more opaque where there is less attention, as a data URI."""
    shade = np.rint(190 * (1 - attention / max(attention.max(), 1e-9))).astype(np.uint8)
    rows, columns = attention.shape
    alpha = Image.fromarray(shade).resize((8 * columns, 8 * rows), Image.Resampling.BICUBIC)
    black = Image.new("L", alpha.size)
    return _data_uri(Image.merge("LA", (black, alpha)), "PNG", optimize=True)


def _data_uri(picture: Image.Image, kind: str, **options: Any) -> str:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(buffer.getvalue()).decode()}"
