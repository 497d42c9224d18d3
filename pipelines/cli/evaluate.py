"""`wordreel evaluate`: score an export, or existing captions, on a split of a dataset."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data.common.errors import UserError, unknown
from data.storage.dataset_info import find_dataset, is_known, source_folder
from pipelines.cli.predict import EXPORT_HELP, load_tensorflow_for
from pipelines.config.config import Config
from pipelines.config.renamed import DATASETS as RENAMED_DATASETS
from pipelines.config.renamed import TASK_ALIASES
from pipelines.config.run_directory import predictions_name
from pipelines.config.task import TASKS, Task
from pipelines.evaluation.java import JAVA_METRICS, check_java, java_score
from pipelines.runtime.console import number, quiet_tensorflow

if TYPE_CHECKING:
    from pipelines.evaluation.metrics import Metrics
    from pipelines.serving.client.exported_model import ExportedModel, Outputs

SUMMARY = "score a model, or captions in a file, on a split of a dataset"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("model", nargs="?", type=Path, metavar="RUN_OR_EXPORT", help=EXPORT_HELP)
    parser.add_argument(
        "--results",
        type=Path,
        metavar="FILE",
        help="score the captions of a file in COCO's results format",
    )
    parser.add_argument(
        "--data", metavar="NAME", help="dataset (default: the one the model was trained on)"
    )
    parser.add_argument("--source", type=Path, metavar="DIR", help="folder of the dataset's files")
    parser.add_argument(
        "--max-bad",
        type=number(float, "a number"),
        metavar="X",
        help="largest share of examples that may be unusable (default: as in training, else "
        f"{Config.max_bad})",
    )
    parser.add_argument(
        "--split",
        default="validation",
        metavar="NAME",
        help="split to score, or a TFDS slice of one (default: validation)",
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="FILE",
        help="file for the predictions: captions in COCO's results format, translations as TSV, "
        "labels as CSV (default: predictions-SPLIT.json, .tsv or .csv)",
    )
    parser.add_argument(
        "--extra-metrics",
        nargs="+",
        default=[],
        metavar="METRIC",
        help=f"metrics for captions that require Java: {', '.join(JAVA_METRICS)}",
    )


def run(given: argparse.Namespace) -> int:
    """Print the scores of a split and write the predictions; return 0."""
    if (given.model is None) == (given.results is None):
        raise UserError("evaluate takes either a run or an export, or --results FILE")
    known = {name: info for task in TASKS.values() for name, info in task.datasets.items()}
    if given.data is not None:
        find_dataset(given.data, known)
    for name in given.extra_metrics:
        check_java(name)
    return _score_export(given) if given.results is None else _score_results(given)


def trained_on(info: Mapping[str, Any]) -> tuple[str, str | None]:
    """Return the task and the dataset of an export by their current names.

    >>> trained_on({"task": "sentiment", "config": {"data": "opinions"}})
    ('text-classification', 'synthetic-reviews')
    """
    config = info.get("config", {})
    task = info.get("task") or config.get("task", "image-captioning")
    data = config.get("data")
    return TASK_ALIASES.get(task, task), RENAMED_DATASETS.get(data, data)


def _score_export(given: argparse.Namespace) -> int:
    """Score the outputs of an export for raw inputs."""
    load_tensorflow_for(given.model)
    from pipelines.serving.client.exported_model import ExportedModel

    export = ExportedModel(given.model)
    task = TASKS[trained_on(export.info)[0]]
    prepared = _prepare(given, task, export.info)
    name = predictions_name(given.split)
    if "labels" in export.info:
        if given.extra_metrics:
            raise UserError(
                f"--extra-metrics {given.extra_metrics[0]} is for captions; {given.model} "
                "predicts labels"
            )
        _score_labels(export, task, prepared, given.split, given.out or Path(f"{name}.csv"))
    else:
        out = given.out or Path(f"{name}{_metrics(task).suffix}")
        _score_sentences(export, task, prepared, given.split, out, given.extra_metrics)
    return 0


def _score_sentences(
    export: ExportedModel,
    task: Task,
    prepared: Any,
    split: str,
    out: Path,
    extra_metrics: Sequence[str],
) -> None:
    from models.search.hypotheses import SearchOptions
    from pipelines.evaluation.captions import search_name

    name = export.info["answer"]
    outputs = _outputs(export, task, prepared, split, dict(prepared.captions(split)))
    candidates = {
        example: "" if isinstance(found, str) else found[name].decode()
        for example, found in outputs.items()
    }
    _metrics(task).write(out, candidates)  # before the scores, since Java may fail
    search = search_name(SearchOptions(**export.info["search"]))
    _print_scores(task, prepared, split, candidates, search, extra_metrics)
    print(f"{name}s in {out}")


def _score_labels(export: ExportedModel, task: Task, prepared: Any, split: str, out: Path) -> None:
    import numpy as np

    from pipelines.evaluation.labels import evaluation_of

    classes, labels = export.info["labels"], dict(prepared.labels(split))
    if others := {*labels.values()} - {*classes}:
        raise UserError(
            f"the label {min(others)!r} of {prepared.name} is not among the model's labels"
        )
    outputs = _outputs(export, task, prepared, split, labels)
    none = np.zeros(len(classes))
    found = [outputs[name] for name in labels]
    probabilities = [none if isinstance(each, str) else each["probabilities"] for each in found]
    evaluation = evaluation_of(split, classes, list(labels.items()), np.array(probabilities))
    print(f"{prepared.name} {split}: {evaluation}")
    print(evaluation.signature)
    for text in evaluation.warnings():
        print(text)
    evaluation.write_csv(out)
    print(f"labels in {out}")


def _outputs(
    export: ExportedModel, task: Task, prepared: Any, split: str, ids: Collection[str]
) -> dict[str, Outputs | str]:
    """Return the outputs for the inputs of some ids; report invalid inputs."""
    from data.common.progress import progress
    from pipelines.tasks.assembly import raw_inputs

    names: list[str] = []
    bar = progress(len(ids), split)

    def inputs() -> Iterator[Any]:
        for name, value in raw_inputs(prepared, split):
            if name in ids:
                names.append(name)
                yield value
                bar.update()

    with bar:
        outputs = dict(zip(names, export.outputs(inputs()), strict=True))
    for name, output in outputs.items():
        if isinstance(output, str):
            print(f"wordreel: {name}: {output}", file=sys.stderr)
    return outputs


def _score_results(given: argparse.Namespace) -> int:
    if given.data is None:
        raise UserError("--results requires --data: the dataset of the captioned images")
    if given.out is not None:
        raise UserError("--out goes with a run or export: the captions of --results are in a file")
    if not given.results.is_file():
        raise UserError(f"no such file: {given.results}")
    tasks = [task for task in TASKS.values() if "captions" in task.parts]
    task = next((each for each in tasks if is_known(given.data, each.datasets)), None)
    if task is None:
        raise UserError(f"the dataset {given.data} has no reference captions")
    source_folder(find_dataset(given.data, task.datasets), given.source)
    quiet_tensorflow()
    from pipelines.evaluation.metrics import read_results

    candidates, prepared = read_results(given.results), _prepare(given, task, {})
    _print_scores(task, prepared, given.split, candidates, "unknown", given.extra_metrics)
    return 0


def _prepare(given: argparse.Namespace, task: Task, info: Mapping[str, Any]) -> Any:
    """Return the chosen dataset, by default the one that the model was trained on."""
    config = info.get("config", {})
    _, default = trained_on(info)
    name = given.data or default
    if name is None:
        raise UserError("the export does not name its training data: choose a dataset with --data")
    if not is_known(name, task.datasets):
        raise unknown(f"dataset of {task.name}", name, task.datasets)
    own = config if name == default else {}
    source = given.source or own.get("source")
    source_folder(find_dataset(name, task.datasets), source)
    options = {key: own[key] for key in ("max_bad", "seed", "fold", "languages") if key in own}
    if given.max_bad is not None:
        options["max_bad"] = given.max_bad
    if sampling := info.get("input", {}).get("sampling"):  # the same frames as in training
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
    extra_metrics: Sequence[str],
) -> None:
    from pipelines.evaluation.captions import check_captions, correct_line

    references, metrics = dict(prepared.captions(split)), _metrics(task)
    print(f"{prepared.name} {split}: {metrics.evaluate(candidates, references)}")
    correct = check_captions(prepared, candidates)
    if correct is not None:
        print(correct_line(correct))
    print(metrics.signature(references, search))
    for name in extra_metrics:
        print(f"{name} {java_score(name, candidates, references):.1f}")
