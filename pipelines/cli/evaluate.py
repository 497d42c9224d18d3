"""`wordreel evaluate`: score an export, or existing captions, on a split of a dataset."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Collection, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data.common.errors import UserError, unknown
from data.storage.dataset_info import find_dataset, is_known, source_folder
from pipelines.cli.predict import EXPORT_HELP
from pipelines.config.config import Config
from pipelines.config.renamed import DATASETS, current_fields, refuse_renamed
from pipelines.config.task import TASKS, Task
from pipelines.export.layout import find_version
from pipelines.runtime.console import quiet_tensorflow
from pipelines.runtime.numbers import ZERO_TO_ONE, add_number

if TYPE_CHECKING:
    from pipelines.serving.client.exported_model import ExportedModel, Outputs
    from pipelines.tasks.protocols import Evaluation, PreparedDataset

SUMMARY = "score a model, or captions in a file, on a split of a dataset"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("model", nargs="?", type=Path, metavar="RUN_OR_EXPORT", help=EXPORT_HELP)
    text = "score the captions of a file in COCO's results format"
    parser.add_argument("--results", type=Path, metavar="FILE", help=text)
    text = "dataset (default: the one the model was trained on)"
    parser.add_argument("--data", metavar="NAME", help=text)
    parser.add_argument("--source", type=Path, metavar="DIR", help="folder of the dataset's files")
    default = f"(default: as in training, else {Config.max_bad})"
    text = f"largest share of examples that may be unusable {default}"
    add_number(parser, "--max-bad", float, ZERO_TO_ONE, text)
    text = "split to score, or a TFDS slice of one (default: validation)"
    parser.add_argument("--split", default="validation", metavar="NAME", help=text)
    text = (
        "file for the predictions: captions in COCO's results format, translations as TSV, "
        "labels as CSV (default: predictions-SPLIT.json, .tsv or .csv)"
    )
    parser.add_argument("--out", type=Path, metavar="FILE", help=text)


def run(given: argparse.Namespace) -> int:
    """Print the scores of a split and write the predictions; return 0."""
    if (given.model is None) == (given.results is None):
        raise UserError("evaluate takes either a run or an export, or --results FILE")
    known = {name: info for task in TASKS.values() for name, info in task.datasets.items()}
    if given.data is not None:
        refuse_renamed("dataset", given.data, DATASETS)
        find_dataset(given.data, known)
    return _score_export(given) if given.results is None else _score_results(given)


def _trained_on(info: Mapping[str, Any]) -> dict[str, Any]:
    """Return the configuration of an export, with its task, by the current names."""
    config = info.get("config", {})
    task = info.get("task") or config.get("task", "image-captioning")
    return current_fields({**config, "task": task})


def _score_export(given: argparse.Namespace) -> int:
    """Score the outputs of an export for raw inputs."""
    find_version(given.model)
    quiet_tensorflow()
    from pipelines.serving.client.exported_model import ExportedModel
    from pipelines.tasks.assembly import HEADS

    export = ExportedModel(given.model)
    config = _trained_on(export.info)
    if config["task"] not in TASKS:
        raise unknown("task", config["task"], TASKS)
    task = TASKS[config["task"]]
    prepared = _prepare(given, task, config, export.info)
    predict = partial(_outputs, export, prepared, given.split)
    evaluation = HEADS[task.head].evaluate_export(export.info, prepared, given.split, predict)
    out = given.out or Path(evaluation.file_name)
    evaluation.write(out)
    _print_scores(prepared, evaluation)
    print(f"{task.answer}s in {out}")
    return 0


def _outputs(
    export: ExportedModel, prepared: PreparedDataset, split: str, ids: Collection[str]
) -> dict[str, Outputs | str]:
    """Return the outputs for the inputs of some ids; report invalid inputs."""
    from data.common.progress import progress
    from pipelines.tasks.assembly import raw_inputs

    names, wanted = list[str](), frozenset(ids)
    bar = progress(len(wanted), split)

    def inputs() -> Iterator[Any]:
        for name, value in raw_inputs(prepared, split):
            if name in wanted:
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
    """Score the captions of a file."""
    if given.data is None:
        raise UserError("--results requires --data: the dataset of the captioned images")
    if given.out is not None:
        raise UserError("--out goes with a run or export: the captions of --results are in a file")
    if not given.results.is_file():
        raise UserError(f"no such file: {given.results}")
    tasks = [task for task in TASKS.values() if task.head == "captions"]
    task = next((each for each in tasks if is_known(given.data, each.datasets)), None)
    if task is None:
        raise UserError(f"the dataset {given.data} has no reference captions")
    prepared: Any = _prepare(given, task, {}, {})
    from pipelines.evaluation.captions import Prediction, score
    from pipelines.evaluation.metrics.coco_results import read_results
    from pipelines.tasks.caption_head import METRICS

    captions = read_results(given.results)
    predictions = {name: Prediction([text]) for name, text in captions.items()}
    evaluation = score(predictions, prepared, given.split, "unknown", METRICS[task.answer])
    _print_scores(prepared, evaluation)
    return 0


def _prepare(
    given: argparse.Namespace, task: Task, trained: Mapping[str, Any], info: Mapping[str, Any]
) -> PreparedDataset:
    """Return the chosen dataset, by default that of `trained`, the model's own configuration."""
    name = given.data or trained.get("data")
    if name is None:
        raise UserError("the export does not name its training data: choose a dataset with --data")
    if not is_known(name, task.datasets):
        raise unknown(f"dataset of {task.name}", name, task.datasets)
    own = trained if name == trained.get("data") else {}
    source = given.source or own.get("source")
    source_folder(find_dataset(name, task.datasets), source)
    chosen = ("max_bad", "seed", "fold", "language", "languages")
    options = {key: own[key] for key in chosen if key in own}
    if given.max_bad is not None:
        options["max_bad"] = given.max_bad
    if sampling := info.get("input", {}).get("sampling"):  # the same frames as in training
        options |= {"sample_frames": sampling["count"], "sample_rate": sampling["rate"]}
    source = None if source is None else str(source)
    quiet_tensorflow()
    from pipelines.tasks.assembly import prepare

    return prepare(Config(task=task.name, data=name, source=source, **options))


def _print_scores(prepared: PreparedDataset, evaluation: Evaluation) -> None:
    first, *others = evaluation.lines()
    for line in (f"{prepared.name} {first}", *map(str.strip, others), *evaluation.warnings()):
        print(line)
