"""Translations from an export: the client's side. Loads no training code and needs no Keras."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from data.media.vocabulary import END, SPECIAL, START, Vocabulary, tokenize
from pipelines.serving.client.predictors import Captioner


@dataclasses.dataclass(frozen=True)
class Translation:
    """What an export says of one text.

    Attributes:
        texts: the translations, the best first.
        scores: of each, log P / length penalty.
        words: of the best translation.
        read: the words of the text as the model reads them, between `<start>` and `<end>`.
        attention: float32 `[words, read]`, where the model looked for each word; nothing to the
            right from a model without attention.
    """

    texts: list[str]
    scores: list[float]
    words: list[str]
    read: list[str]
    attention: np.ndarray


class Translator(Captioner):
    """Answers from an export that takes texts; see `Captioner`."""

    TAKES = ("text",)

    def __init__(
        self, export: Path | str, signature: str = "serving_default", **inputs: float
    ) -> None:
        """Load an export; see `Captioner`."""
        super().__init__(export, signature, **inputs)
        self._read = Vocabulary.load(self.folder / "assets" / "source-vocabulary.txt")

    def translate(self, texts: Iterable[str]) -> list[Translation]:
        """Translate texts, in batches; one without a word to read into nothing."""
        texts = list(texts)
        outputs = self.ask(texts)
        return [
            Translation([""], [0.0], [], [], np.zeros([0, 0]))
            if isinstance(output, str)
            else self._translation(text, output)
            for text, output in zip(texts, outputs, strict=True)
        ]

    def _translation(self, text: str, output: Any) -> Translation:
        found = np.isfinite(output["scores"])
        words = [self.vocabulary.words[token] for token in output["tokens"][0] if token > END]
        most = self.info["input"]["max_words"]
        read = [SPECIAL[START], *tokenize(text, self._read.punctuation)[:most], SPECIAL[END]]
        return Translation(
            [each.decode() for each in output[f"{self.info['answer']}s"][found]],
            output["scores"][found].tolist(),
            words,
            read,
            output["attention"][0, : len(words), : len(read)],
        )
