"""The shared parts of `wordreel caption`, `classify` and `translate`."""

from __future__ import annotations

import argparse
import contextlib
import csv
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeVar

from data.common.errors import UserError
from data.common.files import atomic_write
from pipelines.config.config import flag
from pipelines.export.layout import find_version, input_kind, read_info
from pipelines.runtime.numbers import SEED, Constraint, add_number
from pipelines.serving.client.inputs import Inputs, read_inputs

if TYPE_CHECKING:
    from PIL.Image import Image

    from pipelines.serving.client.predictors import (
        LabelPrediction,
        SentencePrediction,
        SentencePredictor,
    )

EXPORT_HELP = "an export, or the run directory of a trained model"
OUTPUTS = (".txt", ".csv", ".jsonl")
BATCH = 32  # predictions between two lines of progress
Item = Path | str
P = TypeVar("P", "SentencePrediction", "LabelPrediction")

# The options of `--sample`: type, constraint, default and help.
SAMPLING: Mapping[str, tuple[type, Constraint, float, str]] = {
    "temperature": (
        float,
        Constraint("0.001 to 1000", lambda x: 0.001 <= x <= 1000),
        1.0,
        "temperature, 0.001 to 1000; low values favor probable words",
    ),
    "top_k": (
        int,
        Constraint("0 (no limit) to 2147483647", SEED.is_met),
        0,
        "sample from the N most probable words; 0: from all",
    ),
    "top_p": (
        float,
        Constraint("above 0 and at most 1 (no limit)", lambda x: 0 < x <= 1),
        1.0,
        "nucleus sampling, from the most probable words with probability X in total; 1: from all",
    ),
    "seed": (int, SEED, 0, "random seed"),
}


def add_inputs(parser: argparse.ArgumentParser, what: str) -> None:
    """Declare the arguments of every command that predicts; `what` are its inputs."""
    parser.add_argument("export", type=Path, metavar="EXPORT", help=EXPORT_HELP)
    text = (
        f"{what}; a folder with its subfolders, a pattern such as 'a/**/*.jpg', or a .csv, .tsv or "
        ".jsonl table; - or nothing: a line of standard input each"
    )
    parser.add_argument("inputs", nargs="*", metavar="INPUT", help=text)
    text = "column of the inputs in tables (default: as in annotation tables)"
    parser.add_argument("--column", metavar="NAME", help=text)
    text = "write to a file: .csv, .jsonl, or .txt as on the screen"
    parser.add_argument("--out", type=Path, metavar="FILE", help=text)
    output = parser.add_mutually_exclusive_group()
    output.add_argument("--json", action="store_true", help="write one JSON object per line")
    output.add_argument("--csv", action="store_true", help="write CSV")


def add_sentence_options(parser: argparse.ArgumentParser, sentences: str, attention: str) -> None:
    """Declare the options of commands that generate text.

    Args:
        parser: of the command.
        sentences: what it generates.
        attention: what it attends to.
    """
    text = f"number of {sentences} per input, with their scores"
    add_number(parser, "--n-best", int, None, text, 1)
    text = f"plot the attention over {attention} for each word: a .png file, or a folder for "
    parser.add_argument("--attention", type=Path, metavar="OUT", help=f"{text}several inputs")
    search = parser.add_mutually_exclusive_group()
    search.add_argument("--greedy", action="store_true", help="greedy search")
    search.add_argument("--sample", action="store_true", help="sample words at random")
    for name, (kind, constraint, default, help) in SAMPLING.items():
        text = f"with --sample: {help} (default: {default:g})"
        add_number(parser, flag(name), kind, constraint, text)


def chosen_search(given: argparse.Namespace) -> tuple[str, dict[str, float]]:
    """Return the signature of the chosen search and its inputs."""
    inputs = {}
    for name, (_, _, default, _) in SAMPLING.items():
        value = getattr(given, name)
        if value is not None and not given.sample:
            raise UserError(f"{flag(name)} requires --sample")
        inputs[name] = default if value is None else value
    if given.sample:
        return "sample", inputs
    return ("greedy" if given.greedy else "serving_default"), {}


def check_inputs(given: argparse.Namespace) -> tuple[Mapping[str, Any], Inputs]:
    """Check the export, the output and the inputs; report which files are left out.

    Returns:
        The wordreel.json of the export, and the inputs.

    Raises:
        UserError: for an export that another command runs, or an input that does not exist.
    """
    if given.out is not None and given.out.suffix.lower() not in OUTPUTS:
        raise UserError(f"--out writes {', '.join(OUTPUTS)}, not {given.out.name}")
    folder = find_version(given.export)
    info = read_info(folder)
    kind = input_kind(info)
    command = "classify" if "labels" in info else "translate" if kind == "text" else "caption"
    if command != given.command:
        task = info.get("task", "another task")
        raise UserError(f"{folder} is an export of {task}: use wordreel {command}")
    inputs = read_inputs(given.inputs, kind, given.column)
    for line in (*inputs.left_out, *inputs.problems):
        print(f"wordreel: {line}", file=sys.stderr)
    return info, inputs


def attention_files(out: Path | None, stems: Sequence[str], what: str) -> list[Path]:
    """Return the file for the attention plot of each input; none without `--attention`.

    >>> [path.name for path in attention_files(Path("plots"), ["a", "b", "a"], "images")]
    ['a.png', 'b.png', 'a-2.png']
    """
    if out is None:
        return []
    if out.suffix.lower() == ".png":
        if len(stems) > 1:
            raise UserError(f"--attention {out} is one file for {len(stems)} {what}: name a folder")
        return [out]
    files: list[Path] = []
    for stem in stems:
        file, copies = out / f"{stem}.png", 1
        while file in files:
            copies += 1
            file = out / f"{stem}-{copies}.png"
        files.append(file)
    return files


def predictions(
    predict: Callable[[Sequence[Item]], Sequence[P]], items: Sequence[Item]
) -> Iterator[tuple[Item, P]]:
    """Yield each item with its prediction; show the progress and report invalid items."""
    from data.common.progress import progress

    # On a terminal the printed predictions show the progress.
    quiet = len(items) <= BATCH or sys.stdout.isatty()
    with progress(len(items), None, disable=quiet) as bar:
        for start in range(0, len(items), BATCH):
            batch = items[start : start + BATCH]
            for item, prediction in zip(batch, predict(batch), strict=True):
                if prediction.problem is not None:
                    print(f"wordreel: {item}: {prediction.problem}", file=sys.stderr)
                yield item, prediction
            bar.update(len(batch))


class Output:
    """Writes predictions as text, JSON lines or CSV, to `--out` or standard output."""

    def __init__(self, given: argparse.Namespace, stream: IO[str], columns: Sequence[str]) -> None:
        """Write the header of a CSV file.

        Args:
            given: the arguments of the command.
            stream: what to write to.
            columns: of CSV: the input, the values of each answer one after the other, the problem.
        """
        suffix = "" if given.out is None else given.out.suffix.lower()
        self.format = ".jsonl" if given.json else ".csv" if given.csv else suffix
        self.stream, self.columns = stream, columns
        self.csv = csv.writer(stream, lineterminator="\n")
        if self.format == ".csv":
            self.csv.writerow(columns)

    def write(self, record: Mapping[str, Any], text: str) -> None:
        """Write a prediction: its JSON object (input, answers, problem) and its text."""
        item, answers, problem = record.values()
        if self.format == ".jsonl":
            print(json.dumps(record, ensure_ascii=False), file=self.stream)
        elif self.format == ".csv":
            values = [value for answer in answers for value in answer.values()]
            values += [None] * (len(self.columns) - 2 - len(values))
            self.csv.writerow([item, *values, problem])
        elif problem is None:
            print(text, file=self.stream)


@contextlib.contextmanager
def open_output(
    given: argparse.Namespace, name: str, values: Sequence[str], count: int
) -> Iterator[Output]:
    """Open the output of a command.

    Args:
        given: the arguments of the command.
        name: of the input in CSV.
        values: the names of the values of an answer.
        count: the number of answers per input.
    """
    ends = [""] if count == 1 else [f"_{number + 1}" for number in range(count)]
    columns = [name, *(value + end for end in ends for value in values), "problem"]
    if given.out is None:
        yield Output(given, sys.stdout, columns)
        return
    with atomic_write(given.out) as file:
        yield Output(given, file, columns)
    print(f"predictions in {given.out}", file=sys.stderr)


def check_n_best(given: argparse.Namespace, info: Mapping[str, Any]) -> None:
    """Raise a UserError if the search of an export does not find that many sentences."""
    limit = 1 if given.greedy else info["search"]["n_best"]
    if not 1 <= given.n_best <= limit:
        raise UserError(f"--n-best must be from 1 to {limit} for this search of this export")


def write_sentences(
    given: argparse.Namespace, predictor: SentencePredictor, inputs: Inputs, files: Sequence[Path]
) -> int:
    """Write the sentences of all inputs and plot their attention.

    Args:
        given: the arguments of the command.
        predictor: of captions or translations.
        inputs: paths or texts.
        files: for the plots, one per input; none: no plots.

    Returns:
        1 if an input is invalid, else 0.
    """
    failures, answer = len(inputs.problems), predictor.info["answer"]
    # "picture" is the key of version 0.1.
    key = "picture" if inputs.kind == "image" else inputs.kind
    with open_output(given, inputs.kind, (answer, "score"), given.n_best) as output:
        for index, (item, prediction) in enumerate(predictions(predictor.predict, inputs.items)):
            failures += prediction.problem is not None
            pairs = list(zip(prediction.sentences, prediction.scores, strict=True))[: given.n_best]
            sentences = [{answer: text, "score": round(score, 4)} for text, score in pairs]
            record = {key: str(item), f"{answer}s": sentences, "problem": prediction.problem}
            output.write(record, _sentence_lines(inputs.kind, str(item), pairs, given.n_best))
            if files and prediction.words:
                figure = _attention_figure(predictor, item, prediction)
                with atomic_write(files[index], "wb") as file:
                    figure.save(file, "PNG")
            elif files and prediction.problem is None:
                print(f"{files[index]}: nothing to plot, no words for {item}", file=sys.stderr)
    return 1 if failures else 0


def _attention_figure(
    predictor: SentencePredictor, item: str | Path, prediction: SentencePrediction
) -> Image:
    from pipelines.reports.attention import alignment_figure, attention_figure, attention_strip

    words, attention = prediction.words, prediction.attention
    if predictor.input_name == "text":
        return alignment_figure(prediction.source_words, words, attention)
    if predictor.input_name == "image_bytes":
        return attention_figure(Path(item).read_bytes(), words, attention)
    frames = predictor.selected_frames(predictor.read(item))
    return attention_strip(frames, words, attention[:, 0])


def _sentence_lines(kind: str, item: str, pairs: Sequence[tuple[str, float]], n_best: int) -> str:
    if n_best > 1:
        return "\n".join([f"{item}:", *(f"  {score:7.3f}  {text}" for text, score in pairs)])
    best = pairs[0][0] if pairs else ""
    return best if kind == "text" else f"{item}: {best}"
