"""The shared parts of `wordreel caption`, `classify` and `translate`."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from data.common.errors import UserError
from data.common.files import atomic_write
from data.media.suffixes import CLIP_SUFFIXES, IMAGE_SUFFIXES
from pipelines.config.config import flag
from pipelines.export.layout import find_version
from pipelines.runtime.console import quiet_tensorflow
from pipelines.runtime.numbers import SEED, Constraint, add_number

if TYPE_CHECKING:
    from PIL.Image import Image

    from pipelines.serving.client.predictors import (
        LabelPrediction,
        SentencePrediction,
        SentencePredictor,
    )

EXPORT_HELP = "an export, or the run directory of a trained model"
BATCH = 32  # predictions between two lines of progress
T = TypeVar("T", bound=str | Path)
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


def add_export(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of every command that predicts."""
    parser.add_argument("export", type=Path, metavar="EXPORT", help=EXPORT_HELP)
    parser.add_argument("--json", action="store_true", help="print one JSON object per line")


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


def load_tensorflow_for(export: Path) -> None:
    """Check that there is an export, then load TensorFlow without its log."""
    find_version(export)
    quiet_tensorflow()


def files_in(paths: Iterable[Path]) -> list[Path]:
    """Return the images and clips, with folders replaced by their files, without duplicates."""
    files: list[Path] = []
    for path in paths:
        if path.is_dir():
            suffixes = IMAGE_SUFFIXES | CLIP_SUFFIXES
            found = sorted(file for file in path.iterdir() if file.suffix.lower() in suffixes)
            if not found:
                known = ", ".join(sorted(suffixes))
                raise UserError(f"no image or clip in {path}: none of {known}")
            files += found
        else:
            files.append(path)
    return list(dict.fromkeys(files))


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
    predict: Callable[[Sequence[T]], Sequence[P]], items: Sequence[T]
) -> Iterator[tuple[T, P]]:
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


def print_sentences(
    given: argparse.Namespace,
    predictor: SentencePredictor,
    items: Sequence[str | Path],
    files: Sequence[Path],
) -> int:
    """Print the sentences of all items, paths or texts, and plot their attention.

    Args:
        given: the arguments of the command.
        predictor: of captions or translations.
        items: its inputs.
        files: for the plots, one per item; none: no plots.

    Returns:
        1 if an item is invalid, else 0.
    """
    limit = 1 if given.greedy else predictor.info["search"]["n_best"]
    if not 1 <= given.n_best <= limit:
        raise UserError(f"--n-best must be from 1 to {limit} for this search of this export")
    failures = 0
    for index, (item, prediction) in enumerate(predictions(predictor.predict, items)):
        failures += prediction.problem is not None
        if given.json or prediction.problem is None:
            print(_sentence_lines(given, predictor, str(item), prediction))
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


def _sentence_lines(
    given: argparse.Namespace,
    predictor: SentencePredictor,
    item: str,
    prediction: SentencePrediction,
) -> str:
    pairs = list(zip(prediction.sentences, prediction.scores, strict=True))[: given.n_best]
    kind = {"frame_bytes": "clip", "image_bytes": "picture"}.get(predictor.input_name, "text")
    if given.json:
        name = predictor.info["answer"]
        sentences = [{name: text, "score": round(score, 4)} for text, score in pairs]
        record = {kind: item, f"{name}s": sentences, "problem": prediction.problem}
        return json.dumps(record, ensure_ascii=False)
    if given.n_best == 1:
        return pairs[0][0] if kind == "text" else f"{item}: {pairs[0][0]}"
    return "\n".join([f"{item}:", *(f"  {score:7.3f}  {text}" for text, score in pairs)])
