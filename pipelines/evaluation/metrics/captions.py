"""The scores of a set of captions, and the signature that says how they were computed."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data.common.errors import UserError
from pipelines.evaluation.intervals import Intervals, bootstrap
from pipelines.evaluation.metrics import tokenizer
from pipelines.evaluation.metrics.bleu import bleu, bleu_of, count_items
from pipelines.evaluation.metrics.cider import CiderScorer
from pipelines.evaluation.metrics.coco_results import write_results
from pipelines.evaluation.metrics.ngrams import Tokens
from pipelines.evaluation.metrics.rouge import rouge_l
from pipelines.evaluation.metrics.word_errors import (
    position_accuracies,
    word_error_rate,
    word_errors,
)
from pipelines.runtime.version import own_version


@dataclass(frozen=True)
class Diversity:
    """How varied captions are: if most are the same, the model has collapsed."""

    captions: int
    distinct: int  # compared word by word, without case and punctuation
    vocabulary: int  # distinct words
    mean_length: float  # words per caption

    @property
    def distinct_share(self) -> float:
        """Distinct captions per caption, a fraction."""
        return self.distinct / self.captions


@dataclass(frozen=True)
class Scores:
    """The scores of a set of sentences, on the scale of papers: 0 to 100 (CIDEr: 0 to 1000)."""

    corpus: Mapping[str, float]  # "BLEU-1" … "BLEU-4", "ROUGE-L", "CIDEr", "CIDEr-D" of captions
    per_item: Mapping[str, float]  # the score `item_metric` of each item
    diversity: Diversity
    item_metric: str = "CIDEr-D"
    # Correct words at each position, if all references have one length.
    position_accuracies: Sequence[float] = ()
    intervals: Callable[[], Intervals] = dict  # computes the 95 % confidence interval of each score

    def __str__(self) -> str:
        return "  ".join(f"{name} {value:.1f}" for name, value in self.corpus.items())


@dataclass(frozen=True)
class Metrics:
    """How the sentences of a task are scored."""

    # (candidates, references) → scores
    evaluate: Callable[[Mapping[str, str], Mapping[str, Sequence[str]]], Scores]
    # (references, name of the search) → signature of the scores
    signature: Callable[[Mapping[str, Sequence[str]], str], str]
    # (path, candidates) writes them in a common format
    write: Callable[[Path, Mapping[str, str]], None]
    suffix: str  # of that file
    monitor: str  # the score that selects the best epoch
    curves: tuple[str, ...]  # the scores that a report plots over the epochs


def evaluate_captions(
    candidates: Mapping[str, str], references: Mapping[str, Sequence[str]]
) -> Scores:
    """Score one caption per item against the item's reference captions.

    CIDEr's document frequencies come from these references: the score of a part of a dataset
    cannot be compared with that of the whole, and a single item always has CIDEr 0. If each item
    has one reference, the scores include the word error rate ("WER", lower is better).

    >>> scores = evaluate_captions(
    ...     {"7": "A red dog.", "9": "two cats"},
    ...     {"7": ["a red dog", "The dog is red."], "9": ["two black cats"]},
    ... )
    >>> print(scores)
    BLEU-1 81.9  BLEU-2 66.8  BLEU-3 71.5  BLEU-4 2.3  ROUGE-L 88.6  CIDEr 325.6  CIDEr-D 323.7

    Raises:
        UserError: if there is nothing to score, the ids of candidates and references are not the
            same, or an item has no reference.
    """
    check_ids(candidates, references)
    captions = [tokenizer.tokenize(caption) for caption in candidates.values()]
    truths = [[tokenizer.tokenize(text) for text in references[item]] for item in candidates]
    cider = CiderScorer(truths)
    cider_d, per_item = cider.score(captions)
    fractions = {f"BLEU-{n}": score for n, score in enumerate(bleu(captions, truths), start=1)}
    rouge = rouge_l(captions, truths)
    fractions["ROUGE-L"] = float(rouge.mean())
    fractions["CIDEr"], without_penalty = cider.score(captions, variant="CIDEr")
    fractions["CIDEr-D"] = cider_d
    positions = list[float]()
    only = [texts[0] for texts in truths if len(texts) == 1]
    has_wer = len(only) == len(truths)
    if has_wer:
        fractions["WER"] = word_error_rate(captions, only)
        positions = position_accuracies(captions, only)

    def resample(weights: np.ndarray) -> Mapping[str, np.ndarray]:
        counts = weights @ count_items(captions, truths)
        found = {f"BLEU-{n}": each for n, each in enumerate(bleu_of(counts), start=1)}
        means = {"ROUGE-L": rouge, "CIDEr": without_penalty, "CIDEr-D": per_item}
        found |= {name: weights @ each / len(captions) for name, each in means.items()}
        if has_wer:
            errors, words = (weights @ word_errors(captions, only)).T
            found["WER"] = errors / np.maximum(1, words)
        return {name: 100 * each for name, each in found.items()}

    return Scores(
        {name: 100 * value for name, value in fractions.items()},
        dict(zip(candidates, (100 * per_item).tolist(), strict=True)),
        diversity(captions),
        position_accuracies=[100 * value for value in positions],
        intervals=functools.cache(lambda: bootstrap(len(captions), resample)),
    )


def diversity(captions: Collection[Tokens]) -> Diversity:
    """Count how varied tokenized captions are; at least one is needed.

    >>> diversity([["a", "dog"], ["a", "dog"], ["two", "black", "cats"], ["a", "cat"]])
    Diversity(captions=4, distinct=3, vocabulary=6, mean_length=2.25)
    """
    return Diversity(
        captions=len(captions),
        distinct=len({tuple(tokens) for tokens in captions}),
        vocabulary=len({token for tokens in captions for token in tokens}),
        mean_length=sum(map(len, captions)) / len(captions),
    )


def signature(references: Mapping[str, Sequence[str]], search: str) -> str:
    """Return the signature of scores: only scores of the same signature can be compared.

    `search` says how the captions were decoded, such as "beam5.lp0.7" or "greedy".

    >>> signature({"7": ["a red dog", "a dog"], "9": ["two cats"]}, "beam5.lp0.7")
    'tok:ptb-like.2|refs:1-2|items:2|search:beam5.lp0.7|version:...'
    """
    counts = [len(texts) for texts in references.values()]
    least, most = min(counts), max(counts)
    parts = {
        "tok": f"{tokenizer.NAME}.{tokenizer.VERSION}",
        "refs": f"{least}" if least == most else f"{least}-{most}",
        "items": f"{len(counts)}",
        "search": search,
        "version": own_version("unknown"),
    }
    return "|".join(f"{key}:{value}" for key, value in parts.items())


def check_ids(candidates: Mapping[str, str], references: Mapping[str, Sequence[str]]) -> None:
    """Refuse candidates and references that do not belong together.

    Raises:
        UserError: if there is nothing to score, the ids of candidates and references are not the
            same, or an item has no reference.
    """
    if not references:
        raise UserError("there is nothing to score: there are no references")
    for what, wrong in (
        ("without a caption", [item for item in references if item not in candidates]),
        ("without references", [item for item in candidates if item not in references]),
    ):
        if wrong:
            named = ", ".join(map(repr, wrong[:3])) + (", …" if len(wrong) > 3 else "")
            raise UserError(
                f"captions and references must have the same ids; {what} {len(wrong)}: {named}"
            )
    for item, texts in references.items():
        if isinstance(texts, str):
            raise UserError(f"the references of {item!r} must be a list of captions, not one text")
        if not texts:
            raise UserError(f"{item!r} has an empty list of references; it needs at least one")


CAPTIONS = Metrics(
    evaluate_captions,
    signature,
    write_results,
    suffix=".json",
    monitor="CIDEr-D",
    curves=("CIDEr-D", "BLEU-4", "fully_correct"),
)
