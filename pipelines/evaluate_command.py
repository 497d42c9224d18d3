"""`wordreel evaluate`: score a model, or captions that are there already, on a split."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data.datasets import DATASETS, prepare, source_folder
from data.errors import UserError, unknown
from pipelines.caption_command import EXPORT_HELP, load
from pipelines.console import quiet_tensorflow

if TYPE_CHECKING:
    from data.prepared import Prepared
    from pipelines.serving import Captioner

SUMMARY = "score a model, or captions in a file, on a split of a dataset"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("model", nargs="?", type=Path, metavar="RUN_OR_EXPORT", help=EXPORT_HELP)
    parser.add_argument(
        "--results",
        type=Path,
        metavar="FILE",
        help="score captions that are there already, in COCO's results format",
    )
    parser.add_argument(
        "--data", metavar="NAME", help="dataset (default: the one the model was trained on)"
    )
    parser.add_argument("--source", type=Path, metavar="DIR", help="the folder it lies in")
    parser.add_argument(
        "--split",
        default="validation",
        metavar="NAME",
        help="what to score, TFDS slices allowed (default: validation)",
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="FILE",
        help="where the captions go, in COCO's results format (default: predictions-SPLIT.json)",
    )


def run(given: argparse.Namespace) -> int:
    """Print the scores of a split, and write the captions they are of; return 0."""
    if (given.model is None) == (given.results is None):
        raise UserError("evaluate takes one of the two: a run or export, or --results FILE")
    if given.data is not None and given.data not in DATASETS:
        raise unknown("dataset", given.data, DATASETS)
    return _score_export(given) if given.results is None else _score_results(given)


def _score_export(given: argparse.Namespace) -> int:
    """Score an export as others use it: encoded pictures in, sentences out."""
    captioner = load(given.model)
    prepared = _prepare(given, captioner.info.get("config", {}))
    candidates = _captions(captioner, prepared, given.split)
    from models.search import SearchOptions
    from pipelines.evaluation import search_name
    from pipelines.metrics import write_results

    search = search_name(SearchOptions(**captioner.info["search"]))
    _print_scores(prepared, given.split, candidates, search)
    split = "-".join(re.findall(r"\w+", given.split))
    out = given.out or Path(f"predictions-{split}.json")
    write_results(out, candidates)
    print(f"captions in {out}")
    return 0


def _score_results(given: argparse.Namespace) -> int:
    if given.data is None:
        raise UserError("--results needs --data: the dataset whose pictures were captioned")
    if given.out is not None:
        raise UserError("--out goes with a run or export: the captions of --results are in a file")
    if not given.results.is_file():
        raise UserError(f"no such file: {given.results}")
    source_folder(DATASETS[given.data], given.source)
    quiet_tensorflow()
    from pipelines.metrics import read_results

    candidates = read_results(given.results)
    _print_scores(_prepare(given, {}), given.split, candidates, "unknown")
    return 0


def _prepare(given: argparse.Namespace, config: Mapping[str, Any]) -> Prepared:
    """Return the dataset asked for: by default the one that the model was trained on."""
    name = given.data or config.get("data")
    if name is None:
        raise UserError("the export does not say what it was trained on: name it with --data")
    own = config if name == config.get("data") else {}
    source = given.source or own.get("source")
    return prepare(name, source, max_bad=own.get("max_bad", 0.01), seed=own.get("seed", 0))


def _captions(captioner: Captioner, prepared: Prepared, split: str) -> dict[str, str]:
    """Return the export's caption of each picture; an empty one if it cannot read the picture."""
    from data.progress import progress

    names: list[str] = []
    bar = progress(len(prepared.captions(split)), split)

    def pictures() -> Iterator[bytes]:
        for name, picture in prepared.images(split):
            names.append(name)
            yield picture
            bar.update()

    with bar:
        answers = captioner.caption(pictures())
    captions = {}
    for name, answer in zip(names, answers, strict=True):
        captions[name] = answer.captions[0] if answer.valid else ""
        if not answer.valid:
            print(f"wordreel: {name}: {answer.problem}", file=sys.stderr)
    return captions


def _print_scores(prepared: Prepared, split: str, candidates: dict[str, str], search: str) -> None:
    from pipelines.evaluation import check_truth
    from pipelines.metrics import evaluate_captions, signature

    references = dict(prepared.captions(split))
    print(f"{prepared.name} {split}: {evaluate_captions(candidates, references)}")
    truth = check_truth(prepared, candidates)
    if truth is not None:
        true = sum(truth.values())
        share = 100 * true / len(truth)
        print(f"wholly true captions: {true} of {len(truth)} ({share:.1f} %)")
    print(signature(references, search))
