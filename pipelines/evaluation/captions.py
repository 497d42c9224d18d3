"""Decode a split as an export would, and score what comes out."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from data.media.vocabulary import END, Vocabulary
from models.search.beam_search import beam_search
from models.search.hypotheses import SearchOptions
from pipelines.config.config import Config
from pipelines.config.run_directory import predictions_name
from pipelines.evaluation.metrics import CAPTIONS, Metrics, Scores
from pipelines.inputs.batches import compile_by_rank
from pipelines.inputs.tables import Table

BATCH = 100
COLLAPSED = 0.05  # share of distinct captions under which the model says the same of all


@dataclasses.dataclass(frozen=True)
class Prediction:
    """What a model says of one example.

    Attributes:
        captions: the n best, the best first.
        scores: of each, log P / length penalty.
        words: of the best caption.
        attention: float32 `[words, items]`, where in the memory the model looked at each; no
            items if nowhere.
    """

    captions: list[str]
    scores: list[float]
    words: list[str]
    attention: np.ndarray


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """A split's scores and what they were computed from.

    Attributes:
        truth: of each picture, whether all its caption states is so; None if nobody can know.
        metrics: what judged them.
    """

    split: str
    scores: Scores
    signature: str
    predictions: Mapping[str, Prediction]
    references: Mapping[str, Sequence[str]]
    truth: Mapping[str, bool] | None = None
    metrics: Metrics = CAPTIONS

    def summary(self) -> dict[str, float]:
        """Return the corpus scores, the share of distinct captions and of wholly true ones."""
        values = dict(self.scores.corpus)
        values["distinct"] = self.scores.diversity.distinct_share
        if self.truth is not None:
            values["true"] = sum(self.truth.values()) / len(self.truth)
        return values

    def __str__(self) -> str:
        true = self.summary().get("true")
        return str(self.scores) + (f"  wholly true {100 * true:.1f} %" if true is not None else "")

    def warnings(self) -> list[str]:
        """Say so if most examples get the same sentence."""
        diversity = self.scores.diversity
        if diversity.distinct_share >= COLLAPSED or diversity.captions < 20:
            return []
        return [
            f"warning: only {diversity.distinct} different sentences for {diversity.captions} "
            f"examples of {self.split}: the model hardly looks at them. Train longer, or check "
            "that inputs and sentences belong together."
        ]

    def lines(self) -> list[str]:
        """Return what a person wants to see at the end."""
        lines = [f"{self.split}: {self.scores}"]
        if self.truth is not None:
            true = sum(self.truth.values())
            count = len(self.truth)
            lines.append(f"  wholly true captions: {true} of {count} ({100 * true / count:.1f} %)")
        if self.scores.slots:
            shares = ", ".join(f"{100 * share:.0f}" for share in self.scores.slots)
            lines.append(f"  right words at each place of the sentence, %: {shares}")
        lines.append(f"  {self.signature}")
        for name in list(self.predictions)[:4]:
            lines.append(f"  {name}: {self.predictions[name].captions[0]}")
        return lines

    def write(self, folder: Path) -> None:
        """Write the best sentence of each example."""
        best = {name: found.captions[0] for name, found in self.predictions.items()}
        name = predictions_name(self.split) + self.metrics.suffix
        self.metrics.write(folder / name, best)


def search_options(config: Config) -> SearchOptions:
    """Return the search that validation, evaluation and the export share."""
    return SearchOptions(
        beams=config.beams,
        max_words=config.max_words,
        min_words=config.min_words,
        length_penalty=config.length_penalty,
        no_repeat_ngram_size=config.no_repeat_ngram_size,
        n_best=config.n_best,
    )


def search_name(options: SearchOptions) -> str:
    """Name a search for a score's signature.

    >>> search_name(SearchOptions(beams=3, length_penalty=0.7))
    'beam3.lp0.7'
    """
    name = f"beam{options.beams}.lp{options.length_penalty:g}"
    if options.min_words:
        name += f".min{options.min_words}"
    if options.no_repeat_ngram_size:
        name += f".norep{options.no_repeat_ngram_size}"
    return name


class Decoder:
    """Finds sentences of table rows by beam search, in batches."""

    def __init__(self, model: Any, vocabulary: Vocabulary, options: SearchOptions) -> None:
        """Take a model, its words, and how to search."""
        self.vocabulary = vocabulary

        @compile_by_rank
        def search(inputs: Any) -> Any:
            memory = model.encode(inputs)
            step, state, cache = model.head.prepare_search(memory)
            batch = tf.shape(memory.summary)[0]
            return beam_search(step, state, cache, batch, options), memory.mask

        self.search = search

    def captions(self, table: Table, ids: Sequence[str]) -> dict[str, Prediction]:
        """Return a prediction for each of these pictures."""
        positions, predictions = table.positions(), {}
        for start in range(0, len(ids), BATCH):
            names = ids[start : start + BATCH]
            rows = np.array([positions[name] for name in names])
            found, mask = self.search(table.read(rows))
            tokens, scores, attention, real = (
                array.numpy() for array in (found.tokens, found.scores, found.attention, mask)
            )
            if not attention.shape[-1]:  # the model does not look at single items
                real = real[:, :0]
            for i, name in enumerate(names):
                looks = attention[i, 0][:, real[i]]
                predictions[name] = self._prediction(tokens[i], scores[i], looks)
        return predictions

    def _prediction(
        self, tokens: np.ndarray, scores: np.ndarray, attention: np.ndarray
    ) -> Prediction:
        best = tokens[0].tolist()
        words = [self.vocabulary.words[i] for i in best[: best.index(END)]]
        real = np.isfinite(scores)
        return Prediction(
            [self.vocabulary.decode(row) for row in tokens[real].tolist()],
            scores[real].tolist(),
            words,
            attention[: len(words)],
        )


def evaluate(
    decoder: Decoder,
    options: SearchOptions,
    table: Table,
    prepared: Any,
    split: str,
    metrics: Metrics = CAPTIONS,
) -> Evaluation:
    """Decode every example of a split and score the best sentences.

    Args:
        decoder: of the model to score.
        options: the search it uses, for the signature.
        table: rows of at least the split's pictures.
        prepared: the dataset.
        split: its name, or a TFDS slice.
        metrics: how sentences are judged.
    """
    references = dict(prepared.captions(split))
    predictions = decoder.captions(table, list(references))
    candidates = {name: prediction.captions[0] for name, prediction in predictions.items()}
    return Evaluation(
        split,
        metrics.evaluate(candidates, references),
        metrics.signature(references, search_name(options)),
        predictions,
        references,
        check_truth(prepared, candidates),
        metrics,
    )


def check_truth(prepared: Any, candidates: Mapping[str, str]) -> dict[str, bool] | None:
    """Say of each caption whether all it states is so; None where nobody can know."""
    if prepared.is_true is None:
        return None
    return {name: prepared.is_true(name, caption) for name, caption in candidates.items()}
