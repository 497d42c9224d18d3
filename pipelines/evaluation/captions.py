"""Decode a split as the export does, and score the sentences."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import tensorflow as tf

from data.media.vocabulary import END, Vocabulary
from models.encoder_head import EncoderHead
from models.search.beam_search import beam_search
from models.search.hypotheses import SearchOptions
from pipelines.config.run_directory import predictions_name
from pipelines.evaluation.intervals import (
    COLLAPSIBLE,
    FEW,
    count_examples,
    format_interval,
    reliability_warnings,
    wilson,
)
from pipelines.evaluation.metrics.captions import CAPTIONS, Metrics, Scores
from pipelines.inputs.batches import compile_by_rank
from pipelines.inputs.tables import Table

BATCH = 100
COLLAPSED = 0.05  # share of distinct sentences below which a warning is given; or a single one


class Captioned(Protocol):
    """A dataset with sentences."""

    @property
    def is_true(self) -> Callable[[str, str], bool] | None:
        """A check of a caption against the generated example of an id; None: not possible."""

    def captions(self, split: str) -> list[tuple[str, list[str]]]:
        """Return the id and the reference sentences of each example of a split."""


@dataclasses.dataclass(frozen=True)
class Prediction:
    """The sentences predicted for one example."""

    captions: list[str]  # the n best, the best first
    scores: list[float] = dataclasses.field(default_factory=list)  # log P / length penalty of each
    words: list[str] = dataclasses.field(default_factory=list)  # of the best caption
    # float32 `[words, items]`, of each item of the memory; no items for a decoder without attention
    attention: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros([0, 0], np.float32))


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """The scores of a split, and the predictions and references they were computed from."""

    split: str
    scores: Scores
    signature: str
    predictions: Mapping[str, Prediction]
    references: Mapping[str, Sequence[str]]
    # By id, whether every statement of the caption is true; None if the content is not known.
    fully_correct: Mapping[str, bool] | None = None
    metrics: Metrics = CAPTIONS  # what computed the scores

    @property
    def examples(self) -> int:
        """The number of examples that were scored."""
        return len(self.predictions)

    @property
    def percent_correct(self) -> float | None:
        """The percentage of fully correct captions."""
        correct = self.fully_correct
        return None if correct is None else 100 * sum(correct.values()) / len(correct)

    def summary(self) -> dict[str, float]:
        """Return the corpus scores and the percentage of distinct and of fully correct captions."""
        values = dict(self.scores.corpus)
        values["distinct"] = 100 * self.scores.diversity.distinct_share
        if self.percent_correct is not None:
            values["fully_correct"] = self.percent_correct
        return values

    def intervals(self) -> dict[str, tuple[float, float]]:
        """Return the 95 % confidence interval of each score; none of many examples."""
        if self.examples >= FEW:
            return {}
        found = dict(self.scores.intervals())
        if self.percent_correct is not None:
            found["fully_correct"] = wilson(self.percent_correct, self.examples)
        return found

    def __str__(self) -> str:
        return self._text({})

    def _text(self, intervals: Mapping[str, tuple[float, float]]) -> str:
        scores = [
            f"{name} {value:.1f}{format_interval(intervals, name)}"
            for name, value in self.scores.corpus.items()
        ]
        if self.percent_correct is not None:
            interval = format_interval(intervals, "fully_correct")
            scores.append(f"fully correct {self.percent_correct:.1f} %{interval}")
        return f"{'  '.join(scores)}  ({count_examples(self.examples)})"

    def warnings(self) -> list[str]:
        """Return warnings if there are few examples, or most get the same sentence."""
        found = reliability_warnings(self.split, self.examples)
        diversity = self.scores.diversity
        collapsed = diversity.distinct_share < COLLAPSED or diversity.distinct == 1
        several = len({tuple(sorted(texts)) for texts in self.references.values()}) > 1
        if not (collapsed and several) or self.examples < COLLAPSIBLE:
            return found
        sentences = f"distinct sentence{'s' * (diversity.distinct != 1)}"
        return [
            *found,
            f"warning: only {diversity.distinct} {sentences} for {diversity.captions} "
            f"examples of {self.split}: the model hardly uses its inputs. Train longer, or check "
            "that each sentence belongs to its input.",
        ]

    def samples(self, count: int) -> list[tuple[str, str, str]]:
        """Return the id, the best sentence and a reference of the first examples."""
        best = [*self.best.items()][:count]
        return [(name, text, self.references[name][0]) for name, text in best]

    def lines(self) -> list[str]:
        """Return the summary that is printed at the end of a run."""
        lines = [f"{self.split}: {self._text(self.intervals())}"]
        if self.fully_correct is not None:
            counts = f"{sum(self.fully_correct.values())} of {len(self.fully_correct)}"
            lines.append(f"  fully correct captions: {counts} ({self.percent_correct:.1f} %)")
        if self.scores.position_accuracies:
            values = ", ".join(f"{value:.0f}" for value in self.scores.position_accuracies)
            lines.append(f"  correct words at each position of the sentence, %: {values}")
        lines.append(f"  {self.signature}")
        for name in list(self.predictions)[:4]:
            lines.append(f"  {name}: {self.predictions[name].captions[0]}")
        return lines

    @property
    def file_name(self) -> str:
        """The default name of the file that `write` writes."""
        return predictions_name(self.split) + self.metrics.suffix

    @property
    def best(self) -> dict[str, str]:
        """The best sentence of each example, by id."""
        return {name: found.captions[0] for name, found in self.predictions.items()}

    def write(self, path: Path) -> None:
        """Write the best sentence of each example, in the format of the metrics."""
        self.metrics.write(path, self.best)


def search_name(options: SearchOptions) -> str:
    """Name a search for the signature of a score.

    >>> search_name(SearchOptions(beams=3, length_penalty=0.7))
    'beam3.lp0.7'
    """
    name = f"beam{options.beams}.lp{options.length_penalty:g}"
    if options.min_words:
        name += f".min{options.min_words}"
    if options.no_repeat_ngram_size:
        name += f".norep{options.no_repeat_ngram_size}"
    return name


def compile_search(model: EncoderHead, options: SearchOptions) -> Callable[[Any], Any]:
    """Return inputs → beam search and memory mask, for a model that ends in a `SequenceDecoder`."""

    @compile_by_rank
    def search(inputs: Any) -> Any:
        memory = model.encode(inputs)
        step, state, cache = model.head.prepare_search(memory)
        batch = tf.shape(memory.summary)[0]
        return beam_search(step, state, cache, batch, options), memory.mask

    return search


def decode(
    search: Callable[[Any], Any], vocabulary: Vocabulary, table: Table, ids: Sequence[str]
) -> dict[str, Prediction]:
    """Return the prediction for each of these rows of a table, with a `compile_search`."""
    positions, predictions = table.positions(), {}
    for start in range(0, len(ids), BATCH):
        names = ids[start : start + BATCH]
        found, mask = search(table.read(np.array([positions[name] for name in names])))
        tokens, scores, attention, real = (
            array.numpy() for array in (found.tokens, found.scores, found.attention, mask)
        )
        if not attention.shape[-1]:  # a decoder without attention
            real = real[:, :0]
        for i, name in enumerate(names):
            best = tokens[i, 0].tolist()
            words = [vocabulary.words[word] for word in best[: best.index(END)]]
            finite = np.isfinite(scores[i])
            predictions[name] = Prediction(
                [vocabulary.decode(row) for row in tokens[i][finite].tolist()],
                scores[i][finite].tolist(),
                words,
                attention[i, 0, : len(words)][:, real[i]],
            )
    return predictions


def score(
    predictions: Mapping[str, Prediction],
    prepared: Captioned,
    split: str,
    search: str,
    metrics: Metrics = CAPTIONS,
) -> Evaluation:
    """Score the best sentence of each example of a split, or of a TFDS slice.

    Args:
        predictions: by id.
        prepared: the dataset.
        split: its name, or the slice.
        search: how the sentences were decoded, for the signature.
        metrics: what computes the scores.

    Raises:
        UserError: if predictions and references do not have the same ids.
    """
    references = dict(prepared.captions(split))
    best = {name: prediction.captions[0] for name, prediction in predictions.items()}
    is_true = prepared.is_true
    return Evaluation(
        split,
        metrics.evaluate(best, references),
        metrics.signature(references, search),
        predictions,
        references,
        None if is_true is None else {name: is_true(name, text) for name, text in best.items()},
        metrics,
    )
