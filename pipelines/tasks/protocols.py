"""The interfaces between inputs, outputs and the training loop.

A source reads the inputs of a task and builds the encoder; a head builds the layer that predicts
words or labels from the encoder's `Memory`. Neither knows the other: `Experiment` joins them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import keras

from models.encoder_head import EncoderHead
from pipelines.config.config import Config
from pipelines.evaluation.captions import Captioned
from pipelines.inputs.batches import Batch
from pipelines.inputs.tables import Table
from pipelines.reports.page import SplitReport
from pipelines.reports.thumbnails import Preview, PreviewOf
from pipelines.task_models.preprocessor import InputPreprocessing, OutputPreprocessing
from pipelines.tasks.initialization import Rows


class PreparedDataset(Protocol):
    """A dataset on disk, ready for training."""

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def fingerprint(self) -> str:
        """A hash that changes with the content."""

    @property
    def splits(self) -> Mapping[str, int]:
        """The number of examples of each split."""

    @property
    def problems(self) -> Path:
        """The file that reports unusable examples."""


class CaptionedDataset(PreparedDataset, Captioned, Protocol):
    """A dataset with captions or translations."""


class LabeledDataset(PreparedDataset, Protocol):
    """A dataset whose examples have a label each."""

    @property
    def classes(self) -> tuple[str, ...]:
        """The labels of the training split, sorted."""

    def labels(self, split: str) -> list[tuple[str, str]]:
        """Return `(id, label)` of each example of a split that has a label."""


class Source(Protocol):
    """The inputs of a task: a prepared dataset, and the parts of the model that encode it.

    Attributes:
        prepared: the dataset.
        backbone: pixels → features; None if the encoder reads the inputs itself.
        top: the part of the backbone that is fine-tuned, if not all of it.
        encoder: features or word ids → Memory.
        preprocessing: of the inputs of the model.
        notes: lines for the report.
    """

    backbone: keras.Model | None
    top: keras.Model | None
    encoder: keras.layers.Layer
    notes: list[str]

    @property
    def prepared(self) -> PreparedDataset: ...  # noqa: D102
    @property
    def pins(self) -> Mapping[str, str]:
        """Hashes of what the run reads besides the dataset, such as pretrained weights, by name."""

    @property
    def preprocessing(self) -> InputPreprocessing: ...  # noqa: D102

    def __init__(self, config: Config, prepared: PreparedDataset, run_dir: Path) -> None:
        """Build the backbone and the encoder for what `prepare` returned."""

    @staticmethod
    def prepare(config: Config) -> PreparedDataset:
        """Return the dataset of a run, prepared first if it is not yet."""

    def table(self, split: str, epoch: int) -> Table:
        """Return the model inputs of a split, or a slice: pixels if the backbone is fine-tuned."""

    def preview(self, split: str, name: str) -> Preview:
        """Return the preview of an example for the report."""

    def rows_from(self, run: Path) -> Mapping[str, Rows]:
        """Return which rows of the encoder's weights match words of another run, by path."""


class Evaluation(Protocol):
    """The predictions for a split, and their scores.

    Attributes:
        split: its name, or a slice of it.
        signature: the settings that affect the scores; scores with equal ones are comparable.
    """

    @property
    def split(self) -> str: ...  # noqa: D102
    @property
    def signature(self) -> str: ...  # noqa: D102
    @property
    def file_name(self) -> str:
        """The default name of the file that `write` writes, `predictions-<split>.*`."""

    @property
    def examples(self) -> int:
        """The number of examples that were scored."""

    def summary(self) -> dict[str, float]:
        """Return the scores by name."""

    def intervals(self) -> Mapping[str, tuple[float, float]]:
        """Return the 95 % confidence intervals of scores by name; none of many examples."""

    def warnings(self) -> list[str]:
        """Return warnings about the predictions, one line each."""

    def samples(self, count: int) -> list[tuple[str, str, str]]:
        """Return the id, the prediction and the reference of the first examples."""

    def lines(self) -> list[str]:
        """Return the lines to print at the end of a run."""

    def write(self, path: Path) -> None:
        """Write the predictions to a file."""


Outputs = Mapping[str, Any]  # of an export for one example: arrays by name
# (ids) → the outputs of each id, or the reason why its input is invalid.
Predict = Callable[[Collection[str]], Mapping[str, Outputs | str]]


class Head(Protocol):
    """The outputs of a task: the output layer, its batches, scores, export and report.

    Attributes:
        layer: Memory → words or logits.
        preprocessing: of the words or labels.
        monitor: the score that selects the best epoch, a key of the history.
        curves: the validation scores to plot in the report.
        notes: lines for the report.
    """

    layer: keras.layers.Layer
    monitor: str
    curves: Sequence[str]
    notes: list[str]

    @property
    def preprocessing(self) -> OutputPreprocessing: ...  # noqa: D102

    def __init__(self, config: Config, prepared: PreparedDataset, run_dir: Path) -> None:
        """Build the layer for the words or classes of a dataset."""

    def has_references(self, split: str) -> bool:
        """Return whether a split has an example that can be scored."""

    def steps_per_epoch(self) -> int:
        """Return the number of batches of an epoch."""

    def batches(self, table: Table, epoch: int, skip: int) -> Iterable[Batch]:
        """Return the training batches of an epoch from number `skip` on."""

    def evaluate(self, model: EncoderHead, table: Table, split: str) -> Evaluation:
        """Return the predictions of a model for a split, and their scores."""

    def validation_loss(self, model: EncoderHead, table: Table, evaluation: Evaluation) -> float:
        """Return the mean cross-entropy of a split whose `evaluate` returned this evaluation."""

    @staticmethod
    def evaluate_export(
        info: Mapping[str, Any], prepared: PreparedDataset, split: str, predict: Predict
    ) -> Evaluation:
        """Return the scores of an export; `info` is its wordreel.json."""

    def rows_from(self, run: Path) -> Mapping[str, Rows]:
        """Return which rows of the layer match words or classes of another run, by path."""

    def split_report(self, evaluation: Evaluation, preview_of: PreviewOf) -> SplitReport:
        """Return the report of what `evaluate` returned for a split."""
