"""`wordreel classify EXPORT INPUT…`: classify images, video clips or texts."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from pipelines.cli.predict import (
    add_export,
    files_in,
    load_tensorflow_for,
    predictions,
)
from pipelines.runtime.numbers import POSITIVE, add_number

SUMMARY = "classify images, video clips or texts"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_export(parser)
    text = "an image, a clip, a folder of them or a text, whichever the model was trained on"
    parser.add_argument("inputs", nargs="+", metavar="INPUT", help=text)
    text = "number of labels per input, the most probable first"
    add_number(parser, "--top", int, POSITIVE, text, 1)


def run(given: argparse.Namespace) -> int:
    """Print labels; return 1 if an input is invalid, else 0."""
    load_tensorflow_for(given.export)
    from pipelines.serving.client.predictors import LabelPredictor

    model = LabelPredictor(given.export)
    items: Sequence[str | Path] = given.inputs
    if model.input_name != "text":
        items = files_in(Path(item) for item in given.inputs)
    failures = 0
    for item, prediction in predictions(model.predict, items):
        failures += prediction.problem is not None
        pairs = list(zip(prediction.labels, prediction.probabilities, strict=True))[: given.top]
        if given.json:
            labels = [{"label": name, "probability": round(p, 4)} for name, p in pairs]
            record = {"input": str(item), "labels": labels, "problem": prediction.problem}
            print(json.dumps(record, ensure_ascii=False))
        elif prediction.problem is None:
            print(f"{item}: " + ", ".join(f"{name} {100 * p:.0f} %" for name, p in pairs))
    return 1 if failures else 0
