"""`wordreel classify EXPORT INPUT…`: say which class pictures, clips or texts belong to."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data.common.errors import UserError
from pipelines.cli.caption import EXPORT_HELP, answers, files_in
from pipelines.runtime.console import number, quiet_tensorflow

if TYPE_CHECKING:
    from pipelines.serving.client.predictors import LabelAnswer

SUMMARY = "say which class pictures, clips or texts belong to"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("export", type=Path, metavar="EXPORT", help=EXPORT_HELP)
    parser.add_argument(
        "inputs",
        nargs="+",
        metavar="INPUT",
        help="what the model was trained on: a picture, a clip, a folder of some, or a text",
    )
    parser.add_argument(
        "--top",
        type=number(int, "a whole number"),
        default=1,
        metavar="K",
        help="labels of each, the likeliest first (default: 1)",
    )
    parser.add_argument("--json", action="store_true", help="print a JSON object a line")


def run(given: argparse.Namespace) -> int:
    """Print labels; return 1 if an input could not be read, else 0."""
    if given.top < 1:
        raise UserError(f"--top must be at least 1, not {given.top}")
    if not given.export.exists():  # no need of TensorFlow to say so
        raise UserError(f"there is no export at {given.export}: no such file or folder")
    quiet_tensorflow()
    from pipelines.serving.client.predictors import Labeller

    labeller = Labeller(given.export)
    items: list[Any] = given.inputs
    if labeller.takes != "text":
        items = list(files_in([Path(each) for each in given.inputs]))
    failures = 0
    for item, answer in answers(labeller.classify, items):
        if answer.problem is not None:
            failures += 1
            print(f"wordreel: {item}: {answer.problem}", file=sys.stderr)
        if given.json or answer.problem is None:
            print(_line(item, answer, given.top, given.json))
    return 1 if failures else 0


def _line(item: Any, answer: LabelAnswer, top: int, as_json: bool) -> str:
    pairs = list(zip(answer.labels, answer.probabilities, strict=True))[:top]
    if as_json:
        labels = [{"label": name, "probability": round(share, 4)} for name, share in pairs]
        record = {"input": str(item), "labels": labels, "problem": answer.problem}
        return json.dumps(record, ensure_ascii=False)
    return f"{item}: " + ", ".join(f"{name} {100 * share:.0f} %" for name, share in pairs)
