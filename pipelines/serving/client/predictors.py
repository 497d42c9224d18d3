"""Predictions of an export: captions, translations, labels. Needs neither Keras nor training code.

>>> Captioner("runs/holiday").predict(["photo.jpg"])[0].sentences  # doctest: +SKIP
['a dog runs on the grass']
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from data.common.errors import UserError
from data.media.vocabulary import END, SPECIAL, START, Vocabulary
from data.media.words import tokenize_with_spaces
from pipelines.serving.client.exported_model import ExportedModel, Item, Outputs


@dataclasses.dataclass(frozen=True)
class SentencePrediction:
    """The sentences predicted for an image, a clip or a text.

    Attributes:
        sentences: captions or translations, the best first; none for an invalid input.
        scores: of each, log P / length penalty.
        words: of the best sentence.
        attention: float32, the weights for each of the words: `[words, rows, columns]` over the
            cells of an image, or one row of the frames of a clip; `[words, source words]` for a
            text; size 0 for a model without attention.
        source_words: the words that the model read from a text, with `<start>` and `<end>`.
        problem: why the input is invalid; None if it is valid.
    """

    sentences: list[str]
    scores: list[float]
    words: list[str]
    attention: np.ndarray
    source_words: list[str] = dataclasses.field(default_factory=list)
    problem: str | None = None


class SentencePredictor(ExportedModel):
    """Sentences from an export, see `Captioner` and `Translator`."""

    INPUTS: tuple[str, ...] = ()

    def __init__(
        self, export: Path | str, signature: str = "serving_default", **inputs: float
    ) -> None:
        super().__init__(export, signature, **inputs)
        if self.input_name not in self.INPUTS:
            raise UserError(
                f"{self.folder} is an export of {self.info['task']}: its input is "
                f"{self.input_name}, not {' or '.join(self.INPUTS)}"
            )
        self.vocabulary = _load_vocabulary(self)

    def predict(self, items: Iterable[Item]) -> list[SentencePrediction]:
        """Predict sentences for items; see `ExportedModel.outputs`."""
        nothing = np.zeros([0, 0, 0], np.float32)
        return [
            SentencePrediction([], [], [], nothing, problem=output)
            if isinstance(output, str)
            else self._prediction(output)
            for output in self.outputs(items)
        ]

    def _prediction(self, output: Outputs) -> SentencePrediction:
        found = np.isfinite(output["scores"])
        words = [self.vocabulary.words[token] for token in output["tokens"][0] if token > END]
        return SentencePrediction(
            [text.decode() for text in output[f"{self.info['answer']}s"][found]],
            output["scores"][found].tolist(),
            words,
            output["attention"][0, : len(words)],
        )


class Captioner(SentencePredictor):
    """Captions of images or clips."""

    INPUTS = ("image_bytes", "frame_bytes")

    def _prediction(self, output: Outputs) -> SentencePrediction:
        prediction = super()._prediction(output)
        count, attention = len(prediction.words), prediction.attention
        grid = self.info["input"].get("grid", [1, output["items"]])
        if not attention.shape[-1]:
            grid = [0, 0]
        elif cells := self.info["input"].get("cells"):  # of each frame
            attention = attention.reshape(count, attention.shape[-1] // cells, cells).sum(-1)
        attention = attention[:, : grid[0] * grid[1]].reshape(count, *grid)
        return dataclasses.replace(prediction, attention=attention)


class Translator(SentencePredictor):
    """Translations of texts; that of a text without words is empty."""

    INPUTS = ("text",)

    @functools.cached_property
    def _source(self) -> Vocabulary:
        return Vocabulary.load(self.folder / "assets" / "source-vocabulary.txt")

    def predict(self, items: Iterable[Item]) -> list[SentencePrediction]:
        """Translate texts; see `ExportedModel.outputs`."""
        texts = [str(item) for item in items]
        nothing = SentencePrediction([""], [0.0], [], np.zeros([0, 0], np.float32))
        return [
            nothing if isinstance(output, str) else self._translation(text, output)
            for text, output in zip(texts, self.outputs(texts), strict=True)
        ]

    def _translation(self, text: str, output: Outputs) -> SentencePrediction:
        prediction = self._prediction(output)
        words = tokenize_with_spaces(text, self._source.punctuation)[
            : self.info["input"]["max_words"]
        ]
        words = [SPECIAL[START], *words, SPECIAL[END]]
        attention = prediction.attention[:, : len(words)]
        return dataclasses.replace(prediction, source_words=words, attention=attention)


@dataclasses.dataclass(frozen=True)
class LabelPrediction:
    """The labels predicted for an image, a clip or a text.

    Attributes:
        labels: the most probable first; none for an invalid input.
        probabilities: of each.
        problem: why the input is invalid; None if it is valid.
    """

    labels: list[str]
    probabilities: list[float]
    problem: str | None = None


class LabelPredictor(ExportedModel):
    """Labels from an export."""

    def __init__(self, export: Path | str) -> None:
        super().__init__(export)
        if "labels" not in self.info:
            raise UserError(f"{self.folder} is an export of {self.info['task']}: it has no labels")
        self.labels: list[str] = self.info["labels"]

    def predict(self, items: Iterable[Item]) -> list[LabelPrediction]:
        """Classify items; see `ExportedModel.outputs`."""
        return [
            LabelPrediction([], [], output) if isinstance(output, str) else self._prediction(output)
            for output in self.outputs(items)
        ]

    def _prediction(self, output: Outputs) -> LabelPrediction:
        probabilities: Any = output["probabilities"]
        order = np.argsort(-probabilities, kind="stable")
        return LabelPrediction([self.labels[n] for n in order], probabilities[order].tolist())


def _load_vocabulary(export: ExportedModel) -> Vocabulary:
    """Read the vocabulary of an export and check it against the recorded hash."""
    if "vocabulary" not in export.info:
        task = export.info["task"]
        raise UserError(f"{export.folder} is an export of {task}: it does not generate text")
    path = export.folder / "assets" / "vocabulary.txt"
    if not path.is_file():
        raise UserError(f"{export.folder} is not a complete export of Wordreel: no {path}")
    vocabulary = Vocabulary.load(path)
    expected = export.info["vocabulary"]["hash"]
    if vocabulary.hash != expected:
        raise UserError(
            f"the vocabulary of {export.folder} was changed: its hash is {vocabulary.hash}, not "
            f"{expected} as in wordreel.json; export the model again"
        )
    return vocabulary
