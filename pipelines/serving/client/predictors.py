"""Answers from an export: the client's side. Loads no training code and needs no Keras."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from data.common.errors import UserError
from data.media.vocabulary import END, Vocabulary
from pipelines.serving.client.exported_model import Export


@dataclasses.dataclass(frozen=True)
class Answer:
    """What an export says of one picture or clip.

    Attributes:
        captions: the best first; none if there is no answer.
        scores: of each, log P / length penalty.
        words: of the best caption.
        attention: float32 `[words, rows, columns]`, where the model looked for each word: cells of
            a picture, or 1 row of the frames of a clip; 0 rows and columns from a model without
            attention.
        problem: why there is no answer, in a few words; None if there is one.
    """

    captions: list[str]
    scores: list[float]
    words: list[str]
    attention: np.ndarray
    problem: str | None = None

    @property
    def valid(self) -> bool:
        """Whether the picture or clip could be read."""
        return self.problem is None


class Captioner(Export):
    """Sentences from an export.

    Attributes:
        vocabulary: its words.
    """

    TAKES: tuple[str, ...] = ("image_bytes", "frame_bytes")

    def __init__(
        self, export: Path | str, signature: str = "serving_default", **inputs: float
    ) -> None:
        """Load an export.

        Args:
            export: a version's folder, the folder of versions or a run directory; of several
                versions the newest is taken.
            signature: the search: "serving_default" (beam), "greedy" or "sample".
            inputs: what the signature takes besides pictures or clips.

        Raises:
            UserError: if there is none, or its parts do not belong together.
        """
        super().__init__(export, signature, **inputs)
        if self.takes not in self.TAKES:
            raise UserError(
                f"{self.folder} is an export of {self.info['task']}: it takes {self.takes}, not "
                f"{' or '.join(self.TAKES)}"
            )
        self.vocabulary = _vocabulary(self)

    def caption(self, items: Iterable[Any]) -> list[Answer]:
        """Caption images or clips, given as paths or encoded bytes: see `Export.ask`."""
        return [
            _no_answer(found) if isinstance(found, str) else self._answer(found)
            for found in self.ask(items)
        ]

    def _answer(self, output: Mapping[str, Any]) -> Answer:
        """Turn the outputs for one picture or clip into an answer."""
        found = np.isfinite(output["scores"])
        name = self.info["answer"]
        words = [self.vocabulary.words[token] for token in output["tokens"][0] if token > END]
        attention = output["attention"][0, : len(words)]
        grid = self.info["input"].get("grid", [1, output["items"]])
        if not attention.shape[-1]:
            grid = [0, 0]
        elif cells := self.info["input"].get("cells"):  # of each frame
            attention = attention.reshape(len(words), attention.shape[-1] // cells, cells).sum(-1)
        return Answer(
            [caption.decode() for caption in output[f"{name}s"][found]],
            output["scores"][found].tolist(),
            words,
            attention[:, : grid[0] * grid[1]].reshape(len(words), *grid),
        )


@dataclasses.dataclass(frozen=True)
class LabelAnswer:
    """What an export says of one picture, clip or text.

    Attributes:
        labels: the likeliest first; none if there is no answer.
        probabilities: of each.
        problem: why there is no answer, in a few words; None if there is one.
    """

    labels: list[str]
    probabilities: list[float]
    problem: str | None = None


class Labeller(Export):
    """Labels from an export.

    Attributes:
        labels: all it knows.
    """

    def __init__(self, export: Path | str) -> None:
        """Load an export; see `Captioner`."""
        super().__init__(export)
        if "labels" not in self.info:
            raise UserError(f"{self.folder} is an export of {self.info['task']}: it has no labels")
        self.labels: list[str] = self.info["labels"]

    def classify(self, items: Iterable[Any]) -> list[LabelAnswer]:
        """Label images, clips or texts: see `Export.ask`."""
        answers = []
        for found in self.ask(items):
            if isinstance(found, str):
                answers.append(LabelAnswer([], [], found))
                continue
            shares = found["probabilities"]
            order = np.argsort(-shares, kind="stable")
            answers.append(LabelAnswer([self.labels[n] for n in order], shares[order].tolist()))
        return answers


def _no_answer(problem: str) -> Answer:
    return Answer([], [], [], np.zeros([0, 0, 0], np.float32), problem)


def _vocabulary(export: Export) -> Vocabulary:
    """Return the words of an export, which must be those it names."""
    if "vocabulary" not in export.info:
        task = export.info["task"]
        raise UserError(f"{export.folder} is an export of {task}: it answers in no words")
    path = export.folder / "assets" / "vocabulary.txt"
    if not path.is_file():
        raise UserError(f"{export.folder} is no whole export of Wordreel: {path} is missing")
    vocabulary = Vocabulary.load(path)
    named = export.info["vocabulary"]["hash"]
    if vocabulary.hash != named:
        raise UserError(
            f"the vocabulary of {export.folder} was changed: its hash is {vocabulary.hash}, the "
            f"model's {named}"
        )
    return vocabulary
