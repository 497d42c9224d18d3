"""Labels as the output of a task: the classes, batches, scores, export and report."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from data.common.errors import UserError
from data.common.files import atomic_write
from models.heads.classifier import Classifier
from pipelines.config.config import Config
from pipelines.evaluation.labels import CURVES, LabelEvaluation, evaluation_of
from pipelines.export.labels import export_labels
from pipelines.inputs.batches import batches_by_length, by_form
from pipelines.reports.page import write_report

BATCH = 100  # examples evaluated at once


class LabelHead:
    """The classes of a prepared dataset, and the part of the model that tells them apart.

    Attributes:
        classes: the labels, in the order of the logits.
        layer: Memory → logits.
        monitor: the score by which the best epoch is chosen.
    """

    monitor = "accuracy"

    def __init__(self, config: Config, prepared: Any, run_dir: Path) -> None:
        """Take the dataset's classes.

        Raises:
            UserError: if there are none to tell apart, or one has no example in what is learned
                from.
        """
        self.config, self.prepared = config, prepared
        self.classes = tuple(prepared.classes)
        if len(self.classes) < 2:
            raise UserError(
                f"{prepared.name} has {len(self.classes)} classes in its training part: at least "
                "two are needed to tell apart"
            )
        self._labels = functools.cache(prepared.labels)  # of a split; some lie between pictures
        counts = Counter(label for _, label in self._labels(config.train_split))
        for name in self.classes:
            if not counts[name]:
                raise UserError(f"{config.train_split!r} has no example of the class {name!r}")
        with atomic_write(run_dir / "labels.txt") as file:
            file.write("\n".join(self.classes) + "\n")
        mean = sum(counts.values()) / len(self.classes)
        weights = [mean / counts[name] for name in self.classes] if config.class_weights else None
        self.layer = Classifier(len(self.classes), weights, config.pooling)
        self._said: Any = None

    def told(self, split: str) -> list[tuple[str, str]]:
        """Return the id and the label of each example of a split that has one of the classes."""
        labels: list[tuple[str, str]] = self._labels(split)
        return labels

    def steps_per_epoch(self, source: Any) -> int:
        """Return the number of batches in an epoch."""
        del source
        return -(-len(self._labels(self.config.train_split)) // self.config.batch_size)

    def batches(self, source: Any, epoch: int, skip: int) -> Iterable[Any]:
        """Return the batches of an epoch from number `skip` on: inputs, and classes int32."""
        config = self.config
        table = source.table(config.train_split, source.tuned(epoch))
        rows, classes = self._rows(table, config.train_split)
        rng = np.random.default_rng([config.seed, epoch])
        lengths = [table.lengths[row] for row in rows]
        batches = batches_by_length(lengths, config.batch_size, rng)

        def generate() -> Iterator[tuple[np.ndarray, np.ndarray]]:
            for number in range(skip, len(batches)):
                chosen = batches[number]
                chance = np.random.default_rng([config.seed, epoch, number])
                yield table.read(rows[chosen], chance), classes[chosen]

        signature = (table.spec, tf.TensorSpec([None], tf.int32))
        return tf.data.Dataset.from_generator(generate, output_signature=signature).prefetch(4)

    def evaluate(self, model: Any, source: Any, split: str, epoch: int) -> LabelEvaluation:
        """Ask the model as it is after an epoch for the labels of a split."""
        if self._said is None:
            self._said = by_form(lambda inputs: tf.nn.softmax(self.layer(model.remember(inputs))))
        table = source.table(split, source.tuned(epoch))
        rows, _ = self._rows(table, split)
        found = [
            self._said(table.read(part)).numpy()
            for part in np.split(rows, range(BATCH, len(rows), BATCH))
        ]
        labels = self._labels(split)
        return evaluation_of(split, self.classes, labels, np.concatenate(found))

    def export(self, model: Any, source: Any, directory: Path, info: Mapping[str, Any]) -> Path:
        """Write the model as a SavedModel; return its folder."""
        return export_labels(
            model, source, self.classes, directory, {"task": self.config.task, **info}
        )

    def report(self, path: Path, source: Any, **facts: Any) -> None:
        """Write the report; `facts` are those that any head's report takes."""
        write_report(path, preview_of=source.shown, curves=CURVES, monitor=self.monitor, **facts)

    def _rows(self, table: Any, split: str) -> tuple[np.ndarray, np.ndarray]:
        """Return a split's rows in a table, int64, and their classes, int32."""
        positions, labels = table.positions(), self._labels(split)
        numbers = {name: number for number, name in enumerate(self.classes)}
        rows = np.array([positions[name] for name, _ in labels], np.int64)
        return rows, np.array([numbers[label] for _, label in labels], np.int32)
