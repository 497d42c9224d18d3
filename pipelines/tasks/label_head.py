"""Labels as the output of a task: the classes, batches, scores, export and report."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import tensorflow as tf

from data.common.errors import UserError
from data.common.files import atomic_write
from models.encoder_head import EncoderHead
from pipelines.config.config import Config
from pipelines.config.monitor import SCORES, find_monitor
from pipelines.evaluation.labels import LabelEvaluation, evaluation_of
from pipelines.inputs.batches import Batch, batches_by_length, compile_by_rank, read_batches
from pipelines.inputs.tables import Table
from pipelines.reports.labels import label_report
from pipelines.reports.page import SplitReport
from pipelines.reports.thumbnails import PreviewOf
from pipelines.task_models.parts import classifier
from pipelines.task_models.preprocessor import Labels
from pipelines.tasks.initialization import Rows, match_rows
from pipelines.tasks.protocols import Evaluation, LabeledDataset, Predict, PreparedDataset

LABELS = "labels.txt"  # in a run directory
BATCH = 100  # examples evaluated at once


class LabelHead:
    """The classes of a prepared dataset, and the part of the model that predicts them.

    Attributes, in addition to those of `Head`:
        classes: the labels, in the order of the logits.
    """

    curves: Sequence[str] = ("accuracy", "top-5", "macro-F1")

    def __init__(self, config: Config, prepared: LabeledDataset, run_dir: Path) -> None:
        """Build the layer for the dataset's classes, and write these to `run_dir`.

        Raises:
            UserError: if there are fewer than two, or one has no training example.
        """
        self.config = config
        self.notes: list[str] = []
        self.classes = tuple(prepared.classes)
        if len(self.classes) < 2:
            raise UserError(
                f"{prepared.name} has {len(self.classes)} classes in its training split: "
                "classification needs at least two"
            )
        self._labels = functools.cache(prepared.labels)  # reading them may read all records
        counts = Counter(label for _, label in self._labels(config.train_split))
        for name in self.classes:
            if not counts[name]:
                raise UserError(f"{config.train_split!r} has no example of the class {name!r}")
        if not (path := run_dir / LABELS).exists():
            with atomic_write(path) as file:
                file.write("\n".join(self.classes) + "\n")
        mean = sum(counts.values()) / len(self.classes)
        weights = [mean / counts[name] for name in self.classes] if config.class_weights else None
        self.layer = classifier(config, self.classes, weights)
        self.preprocessing = Labels(self.classes)
        few = len(self.classes) <= 5
        scores = [name for name in SCORES["label"] if not (few and name == "top-5")]
        self.monitor = find_monitor(config.monitor or "accuracy", scores)
        self._predict: Callable[..., tf.Tensor] | None = None

    def has_references(self, split: str) -> bool:
        """Return whether a split has an example with a label."""
        return bool(self._labels(split))

    def steps_per_epoch(self) -> int:
        """Return the number of batches of an epoch."""
        return -(-len(self._labels(self.config.train_split)) // self.config.batch_size)

    def batches(self, table: Table, epoch: int, skip: int) -> Iterable[Batch]:
        """Return the training batches of an epoch; the targets are classes, int32 `[batch]`."""
        config = self.config
        rows, classes = self._rows(table, config.train_split)
        batches = batches_by_length(
            np.array(table.lengths)[rows].tolist(),
            config.batch_size,
            np.random.default_rng([config.seed, epoch]),
        )
        return read_batches(
            table,
            batches,
            lambda chosen: (rows[chosen], classes[chosen]),
            tf.TensorSpec([None], tf.int32),
            seed=config.seed,
            epoch=epoch,
            skip=skip,
        )

    def evaluate(self, model: EncoderHead, table: Table, split: str) -> LabelEvaluation:
        """Return the probabilities of the labels of a split, and their scores."""
        if self._predict is None:
            self._predict = compile_by_rank(
                lambda inputs: tf.nn.softmax(self.layer(model.encode(inputs)))
            )
        rows, _ = self._rows(table, split)
        probabilities = [
            self._predict(table.read(part)).numpy()
            for part in np.split(rows, range(BATCH, len(rows), BATCH))
        ]
        labels = self._labels(split)
        return evaluation_of(split, self.classes, labels, np.concatenate(probabilities))

    def validation_loss(self, model: EncoderHead, table: Table, evaluation: Evaluation) -> float:
        """Return the mean cross-entropy of the split, without class weights."""
        del model, table
        assert isinstance(evaluation, LabelEvaluation)
        return evaluation.loss

    @staticmethod
    def evaluate_export(
        info: Mapping[str, Any], prepared: PreparedDataset, split: str, predict: Predict
    ) -> LabelEvaluation:
        """Return the scores of an export; all labels of an invalid input have probability 0.

        Raises:
            UserError: if the split has a label that the model does not know.
        """
        dataset = cast(LabeledDataset, prepared)  # as all datasets of tasks with this head
        classes, labels = info["labels"], dataset.labels(split)
        if others := {label for _, label in labels} - {*classes}:
            raise UserError(
                f"the label {min(others)!r} of {prepared.name} is not among the model's labels"
            )
        outputs = predict([name for name, _ in labels])
        found = [outputs[name] for name, _ in labels]
        none = np.zeros(len(classes))
        probabilities = [none if isinstance(each, str) else each["probabilities"] for each in found]
        return evaluation_of(split, classes, labels, np.array(probabilities))

    def rows_from(self, run: Path) -> dict[str, Rows]:
        """Return the classes of another run as the sources of the weights, see `copy_weights`."""
        old = (run / LABELS).read_text(encoding="utf-8").splitlines()
        known = match_rows(self.classes, old)
        return {"project/kernel": Rows(1, known), "project/bias": Rows(0, known)}

    def split_report(self, evaluation: Evaluation, preview_of: PreviewOf) -> SplitReport:
        """Return the report of a split: scores per class, confusion matrix, samples, errors."""
        assert isinstance(evaluation, LabelEvaluation)
        return label_report(evaluation, preview_of)

    def _rows(self, table: Table, split: str) -> tuple[np.ndarray, np.ndarray]:
        """Return a split's rows in a table, int64, and their classes, int32."""
        positions, labels = table.positions(), self._labels(split)
        numbers = {name: number for number, name in enumerate(self.classes)}
        rows = np.array([positions[name] for name, _ in labels], np.int64)
        return rows, np.array([numbers[label] for _, label in labels], np.int32)
