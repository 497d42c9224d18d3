"""All scores of a set of captions, and the line that says how they were made."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from data.common.errors import UserError
from pipelines.evaluation.metrics import tokenizer
from pipelines.evaluation.metrics.bleu import bleu
from pipelines.evaluation.metrics.cider import CiderScorer
from pipelines.evaluation.metrics.coco_results import write_results
from pipelines.evaluation.metrics.ngrams import Tokens
from pipelines.evaluation.metrics.rouge import rouge_l
from pipelines.evaluation.metrics.word_errors import slot_accuracies, word_error_rate


@dataclass(frozen=True)
class Diversity:
    """How varied captions are: when most are the same one, the model has collapsed."""

    captions: int
    distinct: int  # captions, as words: case and punctuation make no difference
    vocabulary: int  # words used
    mean_length: float  # words per caption

    @property
    def distinct_share(self) -> float:
        """Distinct captions per caption, from nearly 0 to 1."""
        return self.distinct / self.captions


@dataclass(frozen=True)
class Scores:
    """The scores of a set of sentences.

    All are fractions, as the scorers return them: BLEU and ROUGE-L from 0 to 1, CIDEr and CIDEr-D
    from 0 to 10. By the custom of papers `str` gives a hundred times that: "BLEU-4 23.4".
    """

    corpus: Mapping[str, float]  # "BLEU-1" … "BLEU-4", "ROUGE-L", "CIDEr", "CIDEr-D" for one
    each: Mapping[str, float]  # of each item
    diversity: Diversity
    by: str = "CIDEr-D"  # what `each` is
    slots: Sequence[float] = ()  # of sentences with as many words each: right words at each place

    def __str__(self) -> str:
        return "  ".join(f"{name} {100 * value:.1f}" for name, value in self.corpus.items())


@dataclass(frozen=True)
class Metrics:
    """How the sentences of a task are judged: what it declares.

    Attributes:
        evaluate: (candidates, references) → their scores.
        signature: (references, name of the search) → the line under every score.
        write: (path, candidates) writes them as others read them.
        suffix: of that file.
        monitor: the score by which the best epoch is chosen.
        curves: the scores that a report draws over the epochs.
    """

    evaluate: Callable[[Mapping[str, str], Mapping[str, Sequence[str]]], Scores]
    signature: Callable[[Mapping[str, Sequence[str]], str], str]
    write: Callable[[Path, Mapping[str, str]], None]
    suffix: str
    monitor: str
    curves: tuple[str, ...]


def evaluate_captions(
    candidates: Mapping[str, str], references: Mapping[str, Sequence[str]]
) -> Scores:
    """Score one caption per item against the item's true captions.

    CIDEr's document frequencies come from these references: the score of a part of a data set
    cannot be compared with that of the whole, and a single item always has CIDEr 0. Where each item
    has one reference, the word error rate ("WER", the lower the better) is a score as well.

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
    check(candidates, references)
    captions = [tokenizer.tokenize(caption) for caption in candidates.values()]
    truths = [[tokenizer.tokenize(text) for text in references[item]] for item in candidates]
    cider = CiderScorer(truths)
    cider_d, each_cider_d = cider.score(captions)
    corpus = {f"BLEU-{n}": score for n, score in enumerate(bleu(captions, truths), start=1)}
    corpus["ROUGE-L"] = float(rouge_l(captions, truths).mean())
    corpus["CIDEr"], _ = cider.score(captions, variant="CIDEr")
    corpus["CIDEr-D"] = cider_d
    each = dict(zip(candidates, each_cider_d.tolist(), strict=True))
    slots = list[float]()
    if all(len(texts) == 1 for texts in truths):
        only = [texts[0] for texts in truths]
        corpus["WER"] = word_error_rate(captions, only)
        slots = slot_accuracies(captions, only)
    return Scores(corpus, each, diversity(captions), slots=slots)


def diversity(captions: Collection[Tokens]) -> Diversity:
    """Count how varied tokenised captions are; at least one is needed.

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
    """Return the line to stand under every score: what another must do alike to compare.

    Args:
        references: the true captions the score was made with.
        search: how the captions were found, such as "beam5.lp0.7" or "greedy".

    >>> signature({"7": ["a red dog", "a dog"], "9": ["two cats"]}, "beam5.lp0.7")
    'tok:ptb-like.1|refs:1-2|items:2|search:beam5.lp0.7|version:...'
    """
    counts = [len(texts) for texts in references.values()]
    least, most = min(counts), max(counts)
    parts = {
        "tok": f"{tokenizer.NAME}.{tokenizer.VERSION}",
        "refs": f"{least}" if least == most else f"{least}-{most}",
        "items": f"{len(counts)}",
        "search": search,
        "version": _version(),
    }
    return "|".join(f"{key}:{value}" for key, value in parts.items())


def _version() -> str:
    try:
        return importlib.metadata.version("wordreel")
    except importlib.metadata.PackageNotFoundError:  # run from a checkout that is not installed
        return "unknown"


def check(candidates: Mapping[str, str], references: Mapping[str, Sequence[str]]) -> None:
    """Refuse what would give a wrong score.

    Raises:
        UserError: if there is nothing to score, the ids of candidates and references are not the
            same, or an item has no reference.
    """
    if not references:
        raise UserError("there is nothing to score: no references were given")
    _same("without a caption", (item for item in references if item not in candidates))
    _same("without references", (item for item in candidates if item not in references))
    for item, texts in references.items():
        if isinstance(texts, str):
            raise UserError(f"the references of {item!r} must be a list of captions, not one text")
        if not texts:
            raise UserError(f"{item!r} has an empty list of references; it needs at least one")


def _same(what: str, items: Iterable[str]) -> None:
    """Raise if there are any such items, naming the first."""
    wrong = list(items)
    if wrong:
        named = ", ".join(map(repr, wrong[:3])) + (", …" if len(wrong) > 3 else "")
        raise UserError(
            f"captions and references must have the same ids; {what} {len(wrong)}: {named}"
        )


CAPTIONS = Metrics(
    evaluate_captions,
    signature,
    write_results,
    suffix=".json",
    monitor="CIDEr-D",
    curves=("CIDEr-D", "BLEU-4"),
)
