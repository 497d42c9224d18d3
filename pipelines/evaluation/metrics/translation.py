"""The scores of translations: BLEU and chrF as sacreBLEU computes them (Post 2018).

sacreBLEU tokenizes sentences itself, so that scores from different papers can be compared:
https://aclanthology.org/W18-6319. Case is ignored, since models write lower case; the signature
says so.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path

from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF

from data.common.files import atomic_write
from data.media.words import mostly_unspaced, tokenize
from pipelines.evaluation.intervals import Intervals, wilson
from pipelines.evaluation.metrics.bleu import reference_streams
from pipelines.evaluation.metrics.captions import Metrics, Scores, check_ids, diversity


def evaluate_translations(
    candidates: Mapping[str, str], references: Mapping[str, Sequence[str]]
) -> Scores:
    """Score one translation of each text against its references.

    "exact" is the percentage of translations that equal a reference word for word.

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
    check_ids(candidates, references)
    texts = list(candidates.values())
    streams = reference_streams([references[name] for name in candidates])
    bleu, chrf = _bleu(references), CHRF(lowercase=True)
    words = {name: tokenize(text, punctuation=True) for name, text in candidates.items()}
    exact = [
        any(words[name] == tokenize(text, punctuation=True) for text in references[name])
        for name in candidates
    ]
    corpus = {
        "BLEU": bleu.corpus_score(texts, streams).score,
        "chrF2": chrf.corpus_score(texts, streams).score,
        "exact": 100 * sum(exact) / len(exact),
    }
    per_item = {
        name: chrf.sentence_score(text, list(references[name])).score
        for name, text in candidates.items()
    }

    @functools.cache
    def intervals() -> Intervals:
        found = {"exact": wilson(corpus["exact"], len(exact))}
        for name, metric in (("BLEU", bleu), ("chrF2", chrf)):
            score = metric.corpus_score(texts, streams, n_bootstrap=1000)
            mean, half = float(score._mean), float(score._ci)  # of NumPy, which JSON has no form of
            found[name] = max(0.0, mean - half), min(100.0, mean + half)
        return found

    return Scores(corpus, per_item, diversity(list(words.values())), "chrF2", intervals=intervals)


def translation_signature(references: Mapping[str, Sequence[str]], search: str) -> str:
    """Return sacreBLEU's own signatures, the number of texts and the search.

    >>> translation_signature({"1": ["Ein Hund."], "2": ["Zwei Katzen."]}, "beam5.lp1")
    'BLEU|nrefs:1|case:lc|eff:no|tok:13a|smooth:exp|version:... chrF2|...|items:2|search:beam5.lp1'
    """
    bleu, chrf = _bleu(references), CHRF(lowercase=True)
    streams = reference_streams(list(references.values()))
    for metric in (bleu, chrf):  # a metric has a signature after it has scored something
        metric.corpus_score([""] * len(references), streams)
    own = f"BLEU|{bleu.get_signature()} chrF2|{chrf.get_signature()}"
    return f"{own}|items:{len(references)}|search:{search}"


def write_translations(path: Path, candidates: Mapping[str, str]) -> None:
    """Write a line for each text: its id, a tab, its translation."""
    with atomic_write(path) as file:
        file.writelines(f"{name}\t{text}\n" for name, text in candidates.items())


def _bleu(references: Mapping[str, Sequence[str]]) -> BLEU:
    """Return BLEU over words, or over characters for a language without spaces."""
    texts = [text for each in references.values() for text in each]
    return BLEU(lowercase=True, tokenize="char" if mostly_unspaced(texts) else "13a")


TRANSLATIONS = Metrics(
    evaluate_translations,
    translation_signature,
    write_translations,
    suffix=".tsv",
    monitor="BLEU",
    curves=("BLEU", "chrF2", "exact"),
)
