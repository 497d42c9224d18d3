"""How good translations are: BLEU and chrF as sacreBLEU computes them (Post 2018).

sacreBLEU splits sentences into words itself, always in the same way, so that scores from different
papers can be compared: https://aclanthology.org/W18-6319. Case is ignored, for models answer in
lower case; the signature says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF

from data.common.files import atomic_write
from data.media.vocabulary import Vocabulary, tokenize
from pipelines.evaluation.metrics.captions import Metrics, Scores, check, diversity


def evaluate_translations(
    candidates: Mapping[str, str], references: Mapping[str, Sequence[str]]
) -> Scores:
    """Score one translation of each text against the true ones.

    Beside BLEU and chrF stands the share of translations that are a true one word for word.

    >>> scores = evaluate_translations(
    ...     {"1": "der alte mann schläft.", "2": "die kleine katze frisst."},
    ...     {"1": ["Der alte Mann schläft."], "2": ["Eine kleine Katze frisst."]},
    ... )
    >>> print(scores)
    BLEU 83.8  chrF2 92.5  exact 50.0

    Raises:
        UserError: if there is nothing to score, the ids of candidates and references are not the
            same, or a text has no reference.
    """
    check(candidates, references)
    said, streams = list(candidates.values()), _streams(candidates, references)
    bleu, chrf = _bleu(references), CHRF(lowercase=True)
    words = {name: tokenize(text, punctuation=True) for name, text in candidates.items()}
    exact = [
        any(words[name] == tokenize(text, punctuation=True) for text in references[name])
        for name in candidates
    ]
    corpus = {
        "BLEU": bleu.corpus_score(said, streams).score / 100,
        "chrF2": chrf.corpus_score(said, streams).score / 100,
        "exact": sum(exact) / len(exact),
    }
    each = {
        name: chrf.sentence_score(text, list(references[name])).score / 100
        for name, text in candidates.items()
    }
    return Scores(corpus, each, diversity(list(words.values())), "chrF2")


def translation_signature(references: Mapping[str, Sequence[str]], search: str) -> str:
    """Return sacreBLEU's own signatures, and how the translations were found.

    >>> translation_signature({"1": ["Ein Hund."], "2": ["Zwei Katzen."]}, "beam5.lp1")
    'BLEU|nrefs:1|case:lc|eff:no|tok:13a|smooth:exp|version:... chrF2|...|items:2|search:beam5.lp1'
    """
    bleu, chrf = _bleu(references), CHRF(lowercase=True)
    for metric in (bleu, chrf):  # it knows its signature once it has scored something
        metric.corpus_score([""] * len(references), _streams(dict.fromkeys(references), references))
    own = f"BLEU|{bleu.get_signature()} chrF2|{chrf.get_signature()}"
    return f"{own}|items:{len(references)}|search:{search}"


def write_translations(path: Path, candidates: Mapping[str, str]) -> None:
    """Write a line for each text: its id, a tab, its translation."""
    with atomic_write(path) as file:
        file.writelines(f"{name}\t{text}\n" for name, text in candidates.items())


def _bleu(references: Mapping[str, Sequence[str]]) -> BLEU:
    """Return BLEU over words; over characters where words have no spaces between them."""
    texts = [text for each in references.values() for text in each]
    spaced = Vocabulary.build([*texts, "x"], 1).separator
    return BLEU(lowercase=True, tokenize="13a" if spaced else "char")


def _streams(
    candidates: Mapping[str, object], references: Mapping[str, Sequence[str]]
) -> list[list[Any]]:
    """Turn the references round: the first of every text, the second, and so on."""
    most = max(len(references[name]) for name in candidates)
    return [
        [references[name][n] if n < len(references[name]) else None for name in candidates]
        for n in range(most)
    ]


TRANSLATIONS = Metrics(
    evaluate_translations,
    translation_signature,
    write_translations,
    suffix=".tsv",
    monitor="BLEU",
    curves=("BLEU", "chrF2", "exact"),
)
