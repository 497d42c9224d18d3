"""Labels against the truth: accuracy, top 5, who is taken for whom."""

from __future__ import annotations

import csv
import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from data.common.files import atomic_write
from pipelines.config.run_directory import predictions_name

COLLAPSED = 0.99  # share of one class above which the model says the same of all


@dataclasses.dataclass(frozen=True)
class LabelEvaluation:
    """A split's probabilities and the truth.

    Attributes:
        split: its name, or a TFDS slice.
        classes: the labels.
        ids: of the examples.
        truth: int `[examples]`, the class of each.
        probabilities: float32 `[examples, classes]`.
    """

    split: str
    classes: Sequence[str]
    ids: Sequence[str]
    truth: np.ndarray
    probabilities: np.ndarray

    @property
    def said(self) -> np.ndarray:
        """The likeliest class of each example, int `[examples]`."""
        return self.probabilities.argmax(axis=1)

    @property
    def confusion(self) -> np.ndarray:
        """How often a class (row) was called another (column), int `[classes, classes]`."""
        counts = np.zeros([len(self.classes)] * 2, int)
        np.add.at(counts, (self.truth, self.said), 1)
        return counts

    @property
    def signature(self) -> str:
        """What scores must share to be compared."""
        return f"items:{len(self.ids)}|classes:{len(self.classes)}"

    def top(self, most: int) -> float:
        """Return the share of examples whose class is among the `most` likeliest."""
        own = self.probabilities[np.arange(len(self.truth)), self.truth]
        better = (self.probabilities > own[:, np.newaxis]).sum(axis=1)
        return float(np.mean(better < most))

    def per_class(self) -> list[dict[str, float | str]]:
        """Return precision, recall, F1 and number of examples of each class.

        What has no value, the precision of a class that is never said, is 0.
        """
        confusion = self.confusion
        rows: list[dict[str, float | str]] = []
        for number, name in enumerate(self.classes):
            right = float(confusion[number, number])
            said, true = float(confusion[:, number].sum()), float(confusion[number].sum())
            rows.append(
                {
                    "class": name,
                    "precision": right / max(1.0, said),
                    "recall": right / max(1.0, true),
                    "f1": 2 * right / max(1.0, said + true),
                    "examples": true,
                }
            )
        return rows

    def summary(self) -> dict[str, float]:
        """Return accuracy and macro-F1; of more than five classes top 5 too.

        Macro-F1 is the mean F1 of the classes that have an example or are said.
        """
        values = {"accuracy": float(np.mean(self.said == self.truth))}
        if len(self.classes) > 5:
            values["top-5"] = self.top(5)
        seen = {*self.truth.tolist(), *self.said.tolist()}
        scores = [float(row["f1"]) for n, row in enumerate(self.per_class()) if n in seen]
        values["macro-F1"] = float(np.mean(scores))
        return values

    def __str__(self) -> str:
        return ", ".join(f"{name} {100 * value:.1f}" for name, value in self.summary().items())

    def warnings(self) -> list[str]:
        """Say so if nearly all examples get the same label, and if classes have no example."""
        found = []
        counts = np.bincount(self.said, minlength=len(self.classes))
        if counts.max() > COLLAPSED * len(self.ids) and len(set(self.truth.tolist())) > 1:
            name = self.classes[int(counts.argmax())]
            found.append(
                f"warning: {counts.max():,} of {len(self.ids):,} examples of {self.split} are "
                f"called {name}: the model hardly looks at them. Train longer, or lower "
                "--learning-rate."
            )
        absent = [name for i, name in enumerate(self.classes) if not (self.truth == i).any()]
        if absent:
            more = f" and {len(absent) - 10:,} more" if len(absent) > 10 else ""
            found.append(f"warning: no example of {', '.join(absent[:10])}{more} in {self.split}")
        return found

    def lines(self) -> list[str]:
        """Return what a person wants to see at the end."""
        return [f"{self.split}: {self}", f"  {self.signature}"]

    def worst(self, most: int) -> list[int]:
        """Return the numbers of wrong examples, the surest first."""
        wrong = np.flatnonzero(self.said != self.truth)
        sure = self.probabilities[wrong].max(axis=1)
        numbers: list[int] = wrong[np.argsort(-sure, kind="stable")][:most].tolist()
        return numbers

    def write(self, folder: Path) -> None:
        """Write `predictions-<split>.csv`, see `write_csv`."""
        self.write_csv(folder / f"{predictions_name(self.split)}.csv")

    def write_csv(self, path: Path) -> None:
        """Write a row an example: id, true label, label said, the probability of each class."""
        with atomic_write(path) as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(["id", "label", "said", *self.classes])
            rows = zip(self.ids, self.truth, self.said, self.probabilities, strict=True)
            for name, true, said, row in rows:
                shares = [f"{share:.5f}" for share in row]
                writer.writerow([name, self.classes[true], self.classes[said], *shares])


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
