"""From a configuration, or a run directory, to an experiment: data, model, source and head."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

import keras

from data.annotations.splits import whole_split
from data.common.errors import UserError, unknown
from data.storage.prepared import StoredImages
from data.text.prepared import Texts
from data.video.prepared import StoredClips
from pipelines.config.config import Config, flag
from pipelines.config.init_from import best_weights, fingerprint
from pipelines.config.run_directory import INIT_WEIGHTS, check_data, read_config
from pipelines.config.task import TASKS
from pipelines.inputs.batches import Batch
from pipelines.task_models import MODELS
from pipelines.task_models.base import TaskModel
from pipelines.task_models.parts import InputParts
from pipelines.task_models.runs import load_best, load_run
from pipelines.tasks.caption_head import CaptionHead
from pipelines.tasks.image_source import ImageSource
from pipelines.tasks.initialization import copy_weights
from pipelines.tasks.label_head import LabelHead
from pipelines.tasks.protocols import Evaluation, Head, PreparedDataset, Source
from pipelines.tasks.text_source import TextSource
from pipelines.tasks.video_source import VideoSource

SOURCES: Mapping[str, type[Source]] = {
    "image": ImageSource,
    "video": VideoSource,
    "text": TextSource,
}
HEADS: Mapping[str, type[Head]] = {"captions": CaptionHead, "labels": LabelHead}

RawInput = bytes | list[bytes] | str  # an encoded image, the encoded frames of a clip, or a text

SPLITS = ("train", "validation", "test", "unseen")  # that recipes name; a dataset may lack some


@dataclasses.dataclass(frozen=True)
class Experiment:
    """A model with the inputs it reads and the outputs it is trained for."""

    config: Config
    model: TaskModel
    source: Source
    head: Head
    test_splits: Sequence[str] = ()  # to score at the end

    def steps_per_epoch(self) -> int:
        """Return the number of batches of an epoch."""
        return self.head.steps_per_epoch()

    def batches(self, epoch: int, skip: int = 0) -> Iterable[Batch]:
        """Return the training batches of an epoch, counted from 0, from number `skip` on."""
        table = self.source.table(self.config.train_split, epoch)
        return self.head.batches(table, epoch, skip)

    def evaluate(self, split: str, epoch: int | None = None) -> Evaluation:
        """Score a split with the model as it is after an epoch; None is the last."""
        epoch = self.config.epochs - 1 if epoch is None else epoch
        return self.head.evaluate(self.model, self.source.table(split, epoch), split)

    def validate(self, epoch: int) -> tuple[Evaluation, float]:
        """Return the evaluation of the validation split after an epoch, and its loss."""
        split = self.config.validation_split
        evaluation = self.evaluate(split, epoch)
        table = self.source.table(split, epoch)
        return evaluation, self.head.validation_loss(self.model, table, evaluation)


def prepare(config: Config) -> PreparedDataset:
    """Return the dataset of a run, prepared first if it is not yet."""
    return SOURCES[TASKS[config.task].input].prepare(config)


def raw_inputs(prepared: PreparedDataset, split: str) -> Iterable[tuple[str, RawInput]]:
    """Yield the id of each example of a split, and the input that an export takes."""
    if isinstance(prepared, StoredImages):
        return prepared.images(split)
    if isinstance(prepared, StoredClips):
        return prepared.frames(split)
    if isinstance(prepared, Texts):
        return prepared.texts(split)
    raise TypeError(f"no source reads a {type(prepared).__name__}")


def build(config: Config, prepared: PreparedDataset, folder: Path) -> Experiment:
    """Return the experiment of a run in `folder`, whose model has random weights.

    Raises:
        UserError: for a split without examples to score, a model that cannot be built, or the
            folder of a run on other data or with other pretrained weights.
    """
    task = TASKS[config.task]
    test_splits = check_splits(
        config.train_split, config.validation_split, config.test_splits, prepared.splits
    )
    keras.utils.set_random_seed(config.seed)
    head = HEADS[task.head](config, prepared, folder)
    for split in {config.validation_split, *test_splits}:
        if not head.has_references(split):
            raise UserError(
                f"{prepared.name}: no example of {split!r} has a {task.answer} that can be scored"
            )
    source = SOURCES[task.input](config, prepared, folder)
    pins = {"the dataset": prepared.fingerprint, **source.pins}
    if config.init_from is not None:
        pins[INIT_WEIGHTS] = fingerprint(Path(config.init_from))
    check_data(folder, pins)
    return Experiment(config, join(config, source, head), source, head, test_splits)


def join(config: Config, source: Source, head: Head) -> TaskModel:
    """Return the model of a source and a head."""
    parts = InputParts(source.backbone, source.encoder, source.preprocessing)
    return MODELS[config.task].of(parts, head.layer, head.preprocessing, config, source.top)


def init_weights(experiment: Experiment) -> None:
    """Copy the weights of the run that `--init-from` names, if any.

    Raises:
        UserError: if they do not fit the model.
    """
    if experiment.config.init_from is None:
        return
    run = Path(experiment.config.init_from)
    parts = {"encoder": experiment.source.rows_from(run), "head": experiment.head.rows_from(run)}
    rows = {f"{part}/{path}": each for part, own in parts.items() for path, each in own.items()}
    copy_weights(experiment.model, load_run(run), rows)
    known = next(each.sources >= 0 for path, each in rows.items() if path.startswith("head/"))
    names = "words" if TASKS[experiment.config.task].head == "captions" else "classes"
    print(
        f"starts from the best weights of {run}; {known.sum():,} of {len(known):,} {names} are "
        "known to it"
    )


def load_experiment(folder: Path, **changes: int) -> Experiment:
    """Return the experiment of a run, with its dataset and the weights of its best epoch.

    Args:
        folder: of the run.
        changes: fields of its configuration that do not change the weights, such as `beams`.

    Raises:
        UserError: if there is no run with weights.
    """
    config = read_config(folder)
    best_weights(folder)
    # Its best weights include those that it started from.
    config = dataclasses.replace(config, init_from=None, **changes)  # type: ignore[arg-type]  # by name
    experiment = build(config, prepare(config), folder)
    load_best(experiment.model, folder)
    return experiment


def check_splits(train: str, validation: str, tests: str, available: Collection[str]) -> list[str]:
    """Check the options that name splits; return the test splits to score, else `validation`.

    Raises:
        UserError: for a split that cannot be used, or is not among those `available`.
    """
    options = {"train_split": train, "validation_split": validation, "test_splits": tests}
    for name, value in options.items():
        if "+" in value:
            raise UserError(
                f"{flag(name)} {value!r}: splits cannot be added; name one split or a slice of one"
            )
    for name in ("train_split", "validation_split"):
        if whole_split(options[name]) not in available:
            raise UserError(
                f"{flag(name)} {options[name]!r}: the dataset has {', '.join(available)}; "
                "name one of these, or a part such as 'train[90%:]'"
            )
    requested = [name.strip() for name in tests.split(",")]
    for name in requested:
        if (whole := whole_split(name)) not in {*available, *SPLITS}:
            raise unknown("split", name, {*available, *SPLITS})
        if whole not in available:
            print(f"There is no split {whole!r} to score: the dataset has {', '.join(available)}.")
    return [name for name in requested if whole_split(name) in available] or [validation]
