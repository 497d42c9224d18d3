"""`wordreel evaluate`: score a model, or captions that are there already, on a split."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data.common.errors import UserError, unknown
from data.storage.dataset_info import find_dataset, is_known, source_folder
from pipelines.cli.caption import EXPORT_HELP
from pipelines.config.config import Config
from pipelines.config.run_directory import predictions_name
from pipelines.config.task import TASKS, Task
from pipelines.evaluation.metrics.java import JAVA_METRICS, check_java, java_score
from pipelines.runtime.console import number, quiet_tensorflow

if TYPE_CHECKING:
    from pipelines.evaluation.metrics import Metrics
    from pipelines.serving.client.exported_model import Export

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
        "--max-bad",
        type=number(float, "a number"),
        metavar="X",
        help="largest share of examples that may be unusable (default: that of the run, else "
        f"{Config.max_bad})",
    )
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
        help="where captions go, in COCO's results format, translations, as TSV, or labels, as CSV "
        "(default: predictions-SPLIT.json, .tsv or .csv)",
    )
    parser.add_argument(
        "--also",
        nargs="+",
        default=[],
        metavar="METRIC",
        help=f"scores of captions that take Java: {', '.join(JAVA_METRICS)}",
    )


def run(given: argparse.Namespace) -> int:
    """Print the scores of a split, and write what they are of; return 0."""
    if (given.model is None) == (given.results is None):
        raise UserError("evaluate takes one of the two: a run or export, or --results FILE")
    known = {name: info for task in TASKS.values() for name, info in task.datasets.items()}
    if given.data is not None:
        find_dataset(given.data, known)
    for name in given.also:
        check_java(name)
    return _score_export(given) if given.results is None else _score_results(given)


def _score_export(given: argparse.Namespace) -> int:
    """Score an export as others use it: raw inputs in, sentences or labels out."""
    if not given.model.exists():  # no need of TensorFlow to say so
        raise UserError(f"there is no export at {given.model}: no such file or folder")
    quiet_tensorflow()
    from pipelines.serving.client.exported_model import Export

    export = Export(given.model)
    config = export.info.get("config", {})
    task = TASKS[export.info.get("task") or config.get("task", "image-captioning")]
    prepared = _prepare(given, task, export.info)
    name = predictions_name(given.split)
    if "labels" in export.info:
        if given.also:
            raise UserError(f"--also {given.also[0]} scores captions; {given.model} gives labels")
        _score_labels(export, task, prepared, given.split, given.out or Path(f"{name}.csv"))
    else:
        out = given.out or Path(f"{name}{_metrics(task).suffix}")
        _score_sentences(export, task, prepared, given.split, out, given.also)
    return 0


def _score_sentences(
    export: Export, task: Task, prepared: Any, split: str, out: Path, also: Sequence[str]
) -> None:
    from models.search.hypotheses import SearchOptions
    from pipelines.evaluation.captions import search_name

    best = export.info["answer"]
    answers = _answers(export, task, prepared, split, dict(prepared.captions(split)))
    candidates = {
        name: "" if isinstance(found, str) else found[best].decode()
        for name, found in answers.items()
    }
    _metrics(task).write(out, candidates)  # before the scores, of which Java's may fail
    search = search_name(SearchOptions(**export.info["search"]))
    _print_scores(task, prepared, split, candidates, search, also)
    print(f"{best}s in {out}")


def _score_labels(export: Export, task: Task, prepared: Any, split: str, out: Path) -> None:
    import numpy as np

    from pipelines.evaluation.labels import evaluation_of

    classes, labels = export.info["labels"], dict(prepared.labels(split))
    if strange := {*labels.values()} - {*classes}:
        raise UserError(f"the export knows no class {min(strange)!r}")
    answers = _answers(export, task, prepared, split, labels)
    none = np.zeros(len(classes))
    found = [answers[name] for name in labels]
    shares = [none if isinstance(each, str) else each["probabilities"] for each in found]
    evaluation = evaluation_of(split, classes, list(labels.items()), np.array(shares))
    print(f"{prepared.name} {split}: {evaluation}")
    print(evaluation.signature)
    for text in evaluation.warnings():
        print(text)
    evaluation.write_csv(out)
    print(f"labels in {out}")


def _answers(
    export: Export, task: Task, prepared: Any, split: str, wanted: Collection[str]
) -> dict[str, dict[str, Any] | str]:
    """Return the outputs for each input that is wanted; say which could not be read, and why."""
    from data.common.progress import progress
    from pipelines.tasks.assembly import raw_inputs

    names: list[str] = []
    bar = progress(len(wanted), split)

    def inputs() -> Iterator[Any]:
        for name, value in raw_inputs(prepared, split):
            if name in wanted:
                names.append(name)
                yield value
                bar.update()

    with bar:
        answers = dict(zip(names, export.ask(inputs()), strict=True))
    for name, answer in answers.items():
        if isinstance(answer, str):
            print(f"wordreel: {name}: {answer}", file=sys.stderr)
    return answers


def _score_results(given: argparse.Namespace) -> int:
    if given.data is None:
        raise UserError("--results needs --data: the dataset whose pictures were captioned")
    if given.out is not None:
        raise UserError("--out goes with a run or export: the captions of --results are in a file")
    if not given.results.is_file():
        raise UserError(f"no such file: {given.results}")
    tasks = [task for task in TASKS.values() if "captions" in task.parts]
    task = next((each for each in tasks if is_known(given.data, each.datasets)), None)
    if task is None:
        raise UserError(f"{given.data} has no captions to compare with")
    source_folder(find_dataset(given.data, task.datasets), given.source)
    quiet_tensorflow()
    from pipelines.evaluation.metrics import read_results

    candidates, prepared = read_results(given.results), _prepare(given, task, {})
    _print_scores(task, prepared, given.split, candidates, "unknown", given.also)
    return 0


def _prepare(given: argparse.Namespace, task: Task, info: Mapping[str, Any]) -> Any:
    """Return the dataset asked for: by default the one that the model was trained on."""
    config = info.get("config", {})
    name = given.data or config.get("data")
    if name is None:
        raise UserError("the export does not say what it was trained on: name it with --data")
    if not is_known(name, task.datasets):
        raise unknown(f"dataset of {task.name}", name, task.datasets)
    own = config if name == config.get("data") else {}
    source = given.source or own.get("source")
    source_folder(find_dataset(name, task.datasets), source)
    options = {key: own[key] for key in ("max_bad", "seed", "fold", "languages") if key in own}
    if given.max_bad is not None:
        options["max_bad"] = given.max_bad
    if sampling := info.get("input", {}).get("sampling"):  # the frames that the model is used to
        options |= {"sample_frames": sampling["count"], "sample_rate": sampling["rate"]}
    source = None if source is None else str(source)
    config = Config(task=task.name, data=name, source=source, **options)
    from pipelines.tasks.assembly import prepare

    return prepare(config)


def _metrics(task: Task) -> Metrics:
    from pipelines.tasks.caption_head import METRICS

    return METRICS[task.answer]


def _print_scores(
    task: Task,
    prepared: Any,
    split: str,
    candidates: dict[str, str],
    search: str,
    also: Sequence[str],
) -> None:
    from pipelines.evaluation.captions import check_truth

    references, metrics = dict(prepared.captions(split)), _metrics(task)
    print(f"{prepared.name} {split}: {metrics.evaluate(candidates, references)}")
    truth = check_truth(prepared, candidates)
    if truth is not None:
        true = sum(truth.values())
        share = 100 * true / len(truth)
        print(f"wholly true captions: {true} of {len(truth)} ({share:.1f} %)")
    print(metrics.signature(references, search))
    for name in also:
        print(f"{name} {100 * java_score(name, candidates, references):.1f}")
