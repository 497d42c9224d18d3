"""`wordreel translate EXPORT TEXT…`: say texts in another language."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from data.common.errors import UserError
from pipelines.cli.caption import EXPORT_HELP, add_search_arguments, check_n_best, chosen_search
from pipelines.runtime.console import number, quiet_tensorflow

if TYPE_CHECKING:
    from pipelines.serving.client.translator import Translation

SUMMARY = "say texts in another language"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("export", type=Path, metavar="EXPORT", help=EXPORT_HELP)
    parser.add_argument(
        "texts", nargs="*", metavar="TEXT", help="a text; none: each line of the standard input"
    )
    parser.add_argument(
        "--n-best",
        type=number(int, "a whole number"),
        default=1,
        metavar="K",
        help="translations of each text, with their scores (default: 1)",
    )
    parser.add_argument("--json", action="store_true", help="print a JSON object a line")
    parser.add_argument(
        "--attention",
        type=Path,
        metavar="OUT",
        help="draw which words the model looked at for each of its own: a .png file, or a folder "
        "for several texts",
    )
    add_search_arguments(parser)


def run(given: argparse.Namespace) -> int:
    """Print translations; return 0."""
    signature, inputs = chosen_search(given)
    if not given.export.exists():  # no need of TensorFlow to say so
        raise UserError(f"there is no export at {given.export}: no such file or folder")
    texts = given.texts or [line.rstrip("\n") for line in sys.stdin]
    drawings = _drawings(given.attention, len(texts))
    quiet_tensorflow()
    from pipelines.serving.client.translator import Translator

    translator = Translator(given.export, signature, **inputs)
    check_n_best(given, translator.info)
    answers = translator.translate(texts)
    for text, answer in zip(texts, answers, strict=True):
        print(_line(text, answer, given.n_best, given.json))
    for text, answer, path in zip(texts, answers, drawings, strict=False):
        if answer.words:
            _draw(answer, path)
        else:
            print(f"{path}: nothing to draw, {text!r} has no translation", file=sys.stderr)
    return 0


def _drawings(out: Path | None, count: int) -> Sequence[Path]:
    """Return the file that each text's attention goes to."""
    if out is None:
        return []
    if out.suffix.lower() != ".png":
        return [out / f"{n}.png" for n in range(1, count + 1)]
    if count > 1:
        raise UserError(f"--attention {out} is one file for {count} texts: name a folder")
    return [out]


def _line(text: str, answer: Translation, n_best: int, as_json: bool) -> str:
    pairs = list(zip(answer.texts, answer.scores, strict=True))[:n_best]
    if as_json:
        translations = [{"translation": each, "score": round(score, 4)} for each, score in pairs]
        return json.dumps({"text": text, "translations": translations}, ensure_ascii=False)
    if n_best == 1:
        return pairs[0][0]
    return "\n".join([f"{text}:", *(f"  {score:7.3f}  {each}" for each, score in pairs)])


def _draw(answer: Translation, path: Path) -> None:
    from data.common.files import atomic_write
    from pipelines.reports.attention import alignment_figure

    figure = alignment_figure(answer.read, answer.words, answer.attention)
    with atomic_write(path, "wb") as file:
        figure.save(file, "PNG")
