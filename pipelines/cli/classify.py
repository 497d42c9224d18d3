"""`wordreel classify EXPORT INPUT…`: classify images, video clips or texts."""

from __future__ import annotations

import argparse

from pipelines.cli.predict import add_inputs, check_inputs, open_output, predictions
from pipelines.runtime.console import quiet_tensorflow
from pipelines.runtime.numbers import POSITIVE, add_number

SUMMARY = "classify images, video clips or texts"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_inputs(parser, "an image, a clip, or a text or .txt file of texts, as the model reads")
    text = "number of labels per input, the most probable first"
    add_number(parser, "--top", int, POSITIVE, text, 1)


def run(given: argparse.Namespace) -> int:
    """Write labels; return 1 if an input is invalid, else 0."""
    info, inputs = check_inputs(given)
    quiet_tensorflow()
    from pipelines.serving.client.predictors import LabelPredictor

    model, top = LabelPredictor(given.export), min(given.top, len(info["labels"]))
    failures = len(inputs.problems)
    with open_output(given, inputs.kind, ("label", "probability"), top) as output:
        for item, prediction in predictions(model.predict, inputs.items):
            failures += prediction.problem is not None
            pairs = list(zip(prediction.labels, prediction.probabilities, strict=True))[:top]
            labels = [{"label": name, "probability": round(p, 4)} for name, p in pairs]
            record = {"input": str(item), "labels": labels, "problem": prediction.problem}
            text = ", ".join(f"{name} {100 * p:.0f} %" for name, p in pairs)
            output.write(record, f"{item}: {text}")
    return 1 if failures else 0
