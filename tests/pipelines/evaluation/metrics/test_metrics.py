"""The scorers agree with coco-caption, and with the equations for scores that it lacks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocoevalcap.bleu.bleu import Bleu
from pycocoevalcap.cider.cider import Cider
from pycocoevalcap.rouge.rouge import Rouge, my_lcs
from rapidfuzz.distance import LCSseq, Levenshtein

from pipelines.evaluation.metrics.bleu import bleu
from pipelines.evaluation.metrics.captions import evaluate_captions, signature
from pipelines.evaluation.metrics.cider import CiderScorer
from pipelines.evaluation.metrics.rouge import rouge_l
from pipelines.evaluation.metrics.tokenizer import tokenize
from pipelines.evaluation.metrics.word_errors import word_error_rate

Captions = list[list[str]]
Corpus = tuple[Captions, list[Captions]]

SENTENCE = st.lists(st.sampled_from(list("abcde")), max_size=9)
ITEM = st.tuples(SENTENCE, st.lists(SENTENCE, min_size=1, max_size=7))
CORPUS = (
    st.lists(ITEM, min_size=1, max_size=6)
    .filter(lambda items: any(reference for _, references in items for reference in references))
    .map(lambda items: ([caption for caption, _ in items], [refs for _, refs in items]))
)


def assert_as_coco_caption(candidates: Captions, references: list[Captions]) -> None:
    truth = {item: [" ".join(words) for words in refs] for item, refs in enumerate(references)}
    given_ = {item: [" ".join(words)] for item, words in enumerate(candidates)}
    scores, _ = Bleu(4).compute_score(truth, given_, verbose=0)
    np.testing.assert_allclose(bleu(candidates, references), scores, rtol=0, atol=1e-9)
    _, each = Rouge().compute_score(truth, given_)
    np.testing.assert_allclose(rouge_l(candidates, references), each, rtol=0, atol=1e-9)
    mean, each = Cider().compute_score(truth, given_)
    our_mean, our_each = CiderScorer(references).score(candidates)
    np.testing.assert_allclose(our_each, each, rtol=0, atol=1e-9)
    assert abs(our_mean - mean) < 1e-9


def slices(words: list[str], n: int) -> list[tuple[str, ...]]:
    return [tuple(words[start : start + n]) for start in range(len(words) - n + 1)]


def plain_cider(candidates: Captions, references: list[Captions]) -> npt.NDArray[np.float64]:
    """Compute CIDEr with dense vectors over all n-grams."""
    everything = [*candidates, *(words for refs in references for words in refs)]
    scores = np.zeros(len(candidates))
    for n in range(1, 5):
        ngrams = sorted({ngram for words in everything for ngram in slices(words, n)})
        documents = [{ngram for words in refs for ngram in slices(words, n)} for refs in references]
        frequency = [max(1, sum(ngram in each for each in documents)) for ngram in ngrams]
        idf = np.log(len(references) / np.array(frequency))
        for item, (candidate, refs) in enumerate(zip(candidates, references, strict=True)):
            c = idf * [slices(candidate, n).count(ngram) for ngram in ngrams]
            for reference in refs:
                s = idf * [slices(reference, n).count(ngram) for ngram in ngrams]
                if c.any() and s.any():
                    cosine = c @ s / np.linalg.norm(c) / np.linalg.norm(s)
                    scores[item] += 10 * cosine / len(refs) / 4
    return scores


@pytest.fixture(scope="module")
def flickr8k_dev(shared_data: Path) -> list[Captions]:
    folder = shared_data / "flickr8k"
    names = (folder / "Flickr_8k.devImages.txt").read_text().split()
    captions: dict[str, Captions] = {name: [] for name in names}
    for line in (folder / "Flickr8k.token.txt").read_text(encoding="utf-8").splitlines():
        key, caption = line.split("\t")
        if (name := key.partition("#")[0]) in captions:
            captions[name].append(tokenize(caption))
    return list(captions.values())


def test_published_example() -> None:
    # nlg-eval's example; CIDEr of a single item is 0.
    candidate = tokenize("this is a good test")
    references = [tokenize("this is a test"), tokenize("this is also a test")]
    assert bleu([candidate], [references])[:3] == pytest.approx((0.8, 0.632455, 0.510873), abs=1e-6)
    assert rouge_l([candidate], [references])[0] == pytest.approx(0.907063, abs=1e-6)
    assert CiderScorer([references]).score([candidate])[0] == 0
    assert_as_coco_caption([candidate], [references])


@settings(deadline=None)
@given(CORPUS)
def test_random_captions_have_the_scores_of_coco_caption(corpus: Corpus) -> None:
    assert_as_coco_caption(*corpus)


@settings(max_examples=50, deadline=None)
@given(CORPUS)
def test_plain_cider_follows_its_equation(corpus: Corpus) -> None:
    candidates, references = corpus
    _, each = CiderScorer(references).score(candidates, variant="CIDEr")
    np.testing.assert_allclose(each, plain_cider(candidates, references), rtol=0, atol=1e-9)


def test_real_captions_have_the_scores_of_coco_caption(flickr8k_dev: list[Captions]) -> None:
    # Half of the candidates are an image's fifth caption, the others that of the next image.
    candidates = [flickr8k_dev[item | 1][4] for item in range(len(flickr8k_dev))]
    assert_as_coco_caption(candidates, [captions[:4] for captions in flickr8k_dev])


def test_plain_cider_of_real_captions(flickr8k_dev: list[Captions]) -> None:
    some = flickr8k_dev[:20]
    candidates, references = [item[0] for item in some], [item[1:] for item in some]
    _, each = CiderScorer(references).score(candidates, variant="CIDEr")
    np.testing.assert_allclose(each, plain_cider(candidates, references), rtol=0, atol=1e-9)


@settings(deadline=None)
@given(SENTENCE, SENTENCE)
def test_rapidfuzz_agrees_with_the_dynamic_programs(a: list[str], b: list[str]) -> None:
    assert LCSseq.similarity(a, b) == LCSseq.similarity(b, a) == my_lcs(a, b)
    assert Levenshtein.distance(a, b) == Levenshtein.distance(b, a) == edit_distance(a, b)
    assert word_error_rate([a], [b]) == edit_distance(a, b) / max(1, len(b))


def test_rapidfuzz_agrees_for_random_captions_and_word_ids() -> None:
    rng = np.random.default_rng(0)
    for _ in range(500):
        ids = [rng.integers(0, 40, rng.integers(0, 90)).tolist() for _ in range(2)]
        for a, b in (ids, [[f"word{index}" for index in row] for row in ids]):
            assert LCSseq.similarity(a, b) == my_lcs(a, b)
            assert Levenshtein.distance(a, b) == edit_distance(a, b)


def edit_distance(a: Sequence[object], b: Sequence[object]) -> int:
    """Compute the Levenshtein distance by dynamic programming."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        previous, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            previous, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, previous + (x != y))
    return row[-1]


class TestCiderScorer:
    @settings(max_examples=50, deadline=None)
    @given(CORPUS)
    def test_scores_of_some_items_equal_those_of_the_whole_set(self, corpus: Corpus) -> None:
        candidates, references = corpus
        scorer = CiderScorer(references)
        _, whole = scorer.score(candidates)
        chosen = [*range(len(candidates) - 1, -1, -1), 0, 0]
        _, each = scorer.score([candidates[item] for item in chosen], chosen)
        np.testing.assert_allclose(each, whole[chosen], rtol=0, atol=1e-12)

    def test_word_ids_have_the_scores_of_words(self) -> None:
        words = [[["a", "dog"], ["two", "dogs"]], [["a", "cat"]]]
        ids = [[[4, 5], [6, 7]], [[4, 8]]]
        expected = CiderScorer(words).score([["a", "dog"], ["a"]])[1]
        np.testing.assert_array_equal(CiderScorer(ids).score([[4, 5], [4]])[1], expected)

    def test_invalid_arguments_are_refused(self) -> None:
        with pytest.raises(ValueError, match="item 1 has none"):
            CiderScorer([[["a"]], []])
        scorer = CiderScorer([[["a"]], [["b"]]])
        with pytest.raises(ValueError, match="1 for 2 items"):
            scorer.score([["a"]])
        with pytest.raises(ValueError, match="0 for 0 items"):
            scorer.score([], [])
        with pytest.raises(TypeError, match="not the string 'a dog'"):
            scorer.score(["a dog", "b"])


REFERENCES = {"7": ["A red dog.", "The dog is red"], "9": ["Two cats!"], "x": ["A man's hat"]}


class TestEvaluateCaptions:
    def test_scores_are_those_of_the_scorers_in_any_order(self) -> None:
        scores = evaluate_captions(
            {"x": "a man's red hat", "9": "two  CATS", "7": "a dog"}, REFERENCES
        )
        candidates = [["a", "man", "'s", "red", "hat"], ["two", "cats"], ["a", "dog"]]
        references = [
            [["a", "man", "'s", "hat"]],
            [["two", "cats"]],
            [["a", "red", "dog"], ["the", "dog", "is", "red"]],
        ]
        scorer = CiderScorer(references)
        cider_d, each = scorer.score(candidates)
        blue = bleu(candidates, references)
        assert scores.corpus == pytest.approx(
            {f"BLEU-{n}": 100 * blue[n - 1] for n in range(1, 5)}
            | {"ROUGE-L": 100 * rouge_l(candidates, references).mean()}
            | {"CIDEr": 100 * scorer.score(candidates, variant="CIDEr")[0]}
            | {"CIDEr-D": 100 * cider_d}
        )
        assert scores.per_item == pytest.approx(dict(zip("x97", 100 * each, strict=True)))
        assert f"CIDEr-D {100 * cider_d:.1f}" in str(scores)

    def test_diversity_counts_distinct_captions(self) -> None:
        scores = evaluate_captions({"7": "a dog", "9": "A dog.", "x": "a dog"}, REFERENCES)
        assert (scores.diversity.distinct, scores.diversity.vocabulary) == (1, 2)
        assert scores.diversity.distinct_share == pytest.approx(1 / 3)
        assert scores.diversity.mean_length == 2

    @pytest.mark.parametrize(
        ("candidates", "message"),
        [
            ({"7": "", "9": ""}, "same ids; without a caption 1: 'x'"),
            ({}, "without a caption 3: '7', '9', 'x'"),
            ({"7": "", "9": "", "x": "", "y": "", "z": ""}, "without references 2: 'y', 'z'"),
        ],
    )
    def test_missing_ids_are_named(self, candidates: dict[str, str], message: str) -> None:
        with pytest.raises(ValueError, match=message):
            evaluate_captions(candidates, REFERENCES)

    def test_missing_references_are_refused(self) -> None:
        with pytest.raises(ValueError, match="nothing to score"):
            evaluate_captions({}, {})
        with pytest.raises(ValueError, match="'7' has an empty list of references"):
            evaluate_captions({"7": "a"}, {"7": []})
        with pytest.raises(ValueError, match="'7' must be a list of captions, not one text"):
            evaluate_captions({"7": "a"}, {"7": "a dog"})

    def test_signature_names_tokenizer_references_and_search(self) -> None:
        line = signature(REFERENCES, "beam5.lp0.7")
        assert line.startswith("tok:ptb-like.2|refs:1-2|items:3|search:beam5.lp0.7|version:")
        assert "|refs:1|" in signature({"9": ["Two cats!"]}, "greedy")
