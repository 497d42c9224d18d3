"""Predicted labels against the true ones: accuracy, top 5, macro-F1, confusion matrix."""

from __future__ import annotations

import csv
import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from sklearn.metrics import confusion_matrix, f1_score, precision_recall_fscore_support

from data.common.files import atomic_write
from pipelines.config.run_directory import predictions_name
from pipelines.evaluation.intervals import (
    COLLAPSIBLE,
    FEW,
    bootstrap,
    count_examples,
    format_interval,
    reliability_warnings,
    wilson,
)

COLLAPSED = 0.99  # share of one predicted class above which a warning is given


class ClassScores(NamedTuple):
    """The scores of one class, 0 to 100, and its number of examples."""

    name: str
    precision: float
    recall: float
    f1: float
    examples: int


@dataclasses.dataclass(frozen=True)
class LabelEvaluation:
    """The predicted probabilities of a split and the true labels."""

    split: str  # its name, or a TFDS slice
    classes: Sequence[str]
    ids: Sequence[str]
    truth: np.ndarray  # int `[examples]`, the class of each
    probabilities: np.ndarray  # float32 `[examples, classes]`

    @property
    def examples(self) -> int:
        """The number of examples that were scored."""
        return len(self.ids)

    @property
    def predicted(self) -> np.ndarray:
        """The most probable class of each example, int `[examples]`."""
        return self.probabilities.argmax(axis=1)

    @property
    def confusion(self) -> np.ndarray:
        """The number of examples of a class (row) predicted as each (column), `[classes] * 2`."""
        counts: np.ndarray = confusion_matrix(
            self.truth, self.predicted, labels=np.arange(len(self.classes))
        )
        return counts

    @property
    def signature(self) -> str:
        """Only scores of the same signature can be compared."""
        return f"items:{len(self.ids)}|classes:{len(self.classes)}"

    @property
    def loss(self) -> float:
        """The mean cross-entropy of the true classes."""
        own = self.probabilities[np.arange(len(self.truth)), self.truth]
        return float(-np.log(np.maximum(own, np.finfo(np.float32).tiny)).mean())

    def top(self, k: int) -> float:
        """Return the percentage of examples whose class is among the `k` most probable."""
        own = self.probabilities[np.arange(len(self.truth)), self.truth]
        better = (self.probabilities > own[:, np.newaxis]).sum(axis=1)
        return 100 * float(np.mean(better < k))

    def per_class(self) -> list[ClassScores]:
        """Return the scores of each class; undefined ones, such as 0 / 0, are 0."""
        columns = precision_recall_fscore_support(
            self.truth,
            self.predicted,
            labels=np.arange(len(self.classes)),
            zero_division=0.0,
        )
        rows = zip(self.classes, *(column.tolist() for column in columns), strict=True)
        return [ClassScores(name, 100 * p, 100 * r, 100 * f1, n) for name, p, r, f1, n in rows]

    def summary(self) -> dict[str, float]:
        """Return accuracy and macro-F1, with more than five classes also top 5: 0 to 100.

        Macro-F1 is the mean F1 of the classes that occur in the split or are predicted.
        """
        values = {"accuracy": 100 * float(np.mean(self.predicted == self.truth))}
        if len(self.classes) > 5:
            values["top-5"] = self.top(5)
        macro = f1_score(self.truth, self.predicted, average="macro", zero_division=0.0)
        values["macro-F1"] = 100 * float(macro)
        return values

    def intervals(self) -> dict[str, tuple[float, float]]:
        """Return the 95 % confidence interval of each score; none of many examples."""
        if self.examples >= FEW:
            return {}
        summary = self.summary()
        shares = {
            name: wilson(summary[name], self.examples)
            for name in ("accuracy", "top-5")
            if name in summary
        }
        return shares | bootstrap(self.examples, self._resample)

    def _resample(self, weights: np.ndarray) -> dict[str, np.ndarray]:
        """Return the macro-F1 of samples of the examples, `[samples]`: see `bootstrap`."""
        numbers = np.arange(len(self.classes))
        true, predicted = (each[:, None] == numbers for each in (self.truth, self.predicted))
        hits, counts = weights @ (true & predicted), weights @ true + weights @ predicted
        f1 = 2 * hits / np.maximum(counts, 1)
        return {"macro-F1": 100 * f1.sum(axis=1) / (counts > 0).sum(axis=1)}

    def __str__(self) -> str:
        return self._text({})

    def _text(self, intervals: Mapping[str, tuple[float, float]]) -> str:
        scores = [
            f"{name} {value:.1f}{format_interval(intervals, name)}"
            for name, value in self.summary().items()
        ]
        return f"{', '.join(scores)} ({count_examples(self.examples)})"

    def warnings(self) -> list[str]:
        """Return warnings of few examples, equal predictions and classes without example."""
        found = reliability_warnings(self.split, self.examples)
        counts = np.bincount(self.predicted, minlength=len(self.classes))
        several = self.examples >= COLLAPSIBLE and len(set(self.truth.tolist())) > 1
        if several and counts.max() > COLLAPSED * self.examples:
            name = self.classes[int(counts.argmax())]
            found.append(
                f"warning: {counts.max():,} of {len(self.ids):,} examples of {self.split} are "
                f"predicted as {name}: the model hardly uses its inputs. Train longer, or lower "
                "--learning-rate."
            )
        absent = [name for i, name in enumerate(self.classes) if not (self.truth == i).any()]
        if absent:
            more = f" and {len(absent) - 10:,} more" if len(absent) > 10 else ""
            found.append(f"warning: no example of {', '.join(absent[:10])}{more} in {self.split}")
        return found

    def samples(self, count: int) -> list[tuple[str, str, str]]:
        """Return the id, the predicted and the true label of the first examples."""
        rows = zip(self.ids[:count], self.predicted, self.truth, strict=False)
        return [(name, self.classes[found], self.classes[true]) for name, found, true in rows]

    def lines(self) -> list[str]:
        """Return the summary that is printed at the end of a run."""
        return [f"{self.split}: {self._text(self.intervals())}", f"  {self.signature}"]

    def worst(self, count: int) -> list[int]:
        """Return the indices of wrong predictions, the most confident first."""
        wrong = np.flatnonzero(self.predicted != self.truth)
        confidence = self.probabilities[wrong].max(axis=1)
        indices: list[int] = wrong[np.argsort(-confidence, kind="stable")][:count].tolist()
        return indices

    @property
    def file_name(self) -> str:
        """The default name of the file that `write` writes."""
        return f"{predictions_name(self.split)}.csv"

    def write(self, path: Path) -> None:
        """Write a CSV row per example: id, label, predicted, the probability of each class."""
        with atomic_write(path) as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(["id", "label", "predicted", *self.classes])
            rows = zip(self.ids, self.truth, self.predicted, self.probabilities, strict=True)
            for name, true, predicted, row in rows:
                values = [f"{value:.5f}" for value in row]
                writer.writerow([name, self.classes[true], self.classes[predicted], *values])


def evaluation_of(
    split: str,
    classes: Sequence[str],
    labels: Sequence[tuple[str, str]],
    probabilities: np.ndarray,
) -> LabelEvaluation:
    """Join `(id, label)` pairs with the probabilities of their classes, in the same order."""
    numbers: Mapping[str, int] = {name: number for number, name in enumerate(classes)}
    truth = np.array([numbers[label] for _, label in labels], np.int64)
    return LabelEvaluation(split, classes, [name for name, _ in labels], truth, probabilities)
