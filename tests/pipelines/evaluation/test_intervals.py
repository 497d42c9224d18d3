"""Scores of few examples have an interval and a warning."""

from __future__ import annotations

import json

import numpy as np
import pytest
from sklearn.metrics import f1_score

from pipelines.evaluation.captions import Evaluation, Prediction
from pipelines.evaluation.intervals import FEW, UNRELIABLE, bootstrap, wilson
from pipelines.evaluation.labels import LabelEvaluation, evaluation_of
from pipelines.evaluation.metrics.bleu import bleu, bleu_of, count_items
from pipelines.evaluation.metrics.captions import CAPTIONS, Scores
from pipelines.evaluation.metrics.translation import TRANSLATIONS

WORDS = ["a", "red", "blue", "dog", "cat", "runs", "sleeps", "on", "the", "grass"]


def labeled(count: int, classes: int = 3, share: float = 0.8) -> LabelEvaluation:
    rng = np.random.default_rng(0)
    names = [f"class {number}" for number in range(classes)]
    truth = rng.integers(0, classes, count)
    predicted = np.where(rng.random(count) < share, truth, rng.integers(0, classes, count))
    labels = [(str(number), names[true]) for number, true in enumerate(truth)]
    return evaluation_of("test", names, labels, np.eye(classes)[predicted])


def captioned(count: int, sentences: int = 50, metrics: object = CAPTIONS) -> Evaluation:
    rng = np.random.default_rng(1)
    texts = [" ".join(rng.choice(WORDS, 5)) for _ in range(sentences)]
    best = {str(number): texts[number % sentences] for number in range(count)}
    references = {name: [" ".join(rng.choice(WORDS, 5)), texts[0]] for name in best}
    found: Scores = metrics.evaluate(best, references)  # type: ignore[attr-defined]
    predictions = {name: Prediction([text]) for name, text in best.items()}
    correct = {name: number % 4 > 0 for number, name in enumerate(best)}
    return Evaluation("test", found, "signature", predictions, references, correct)


def test_few_examples_get_intervals_and_many_do_not() -> None:
    few, many = labeled(24), labeled(FEW)
    assert set(few.intervals()) == {"accuracy", "macro-F1"} == set(few.summary())
    assert many.intervals() == {}
    assert "[" in few.lines()[0] and "(24 examples)" in few.lines()[0]
    assert "[" not in many.lines()[0] and "(300 examples)" in many.lines()[0]
    captions = captioned(24)
    assert set(captions.intervals()) == set(captions.summary()) - {"distinct"}
    assert captioned(FEW).intervals() == {}
    assert "(24 examples)" in captions.lines()[0] and "CIDEr-D" in captions.lines()[0]


@pytest.mark.parametrize("metrics", [CAPTIONS, TRANSLATIONS])
def test_intervals_contain_the_score_and_shrink_with_the_examples(metrics: object) -> None:
    widths = []
    for count in (40, 160):
        evaluation = captioned(count, metrics=metrics)
        intervals, summary = evaluation.intervals(), evaluation.summary()
        for name, (low, high) in intervals.items():
            assert low <= summary[name] + 0.5 and summary[name] - 0.5 <= high, name
        assert json.loads(json.dumps(intervals)) == {k: list(v) for k, v in intervals.items()}
        widths.append(np.mean([high - low for low, high in intervals.values()]))
    assert widths[1] < 0.75 * widths[0]


def test_intervals_of_labels_contain_the_score() -> None:
    for count in (1, 2, 7, 100):
        found = labeled(count, classes=7)
        for name, (low, high) in found.intervals().items():
            assert low <= found.summary()[name] <= high
        assert set(found.intervals()) == {"accuracy", "top-5", "macro-F1"}


def test_the_accuracy_of_one_example_is_not_certain() -> None:
    (low, high) = labeled(1, share=1.0).intervals()["accuracy"]
    assert low < 25 and high == 100
    assert wilson(50.0, 100) == pytest.approx((40.38, 59.62), abs=0.01)  # Wilson (1927)


def test_resampled_scores_are_those_of_the_sample() -> None:
    evaluation = labeled(40, classes=5)
    rng = np.random.default_rng(2)
    weights = rng.multinomial(40, np.full(40, 1 / 40), 5)
    for row, found in zip(weights, evaluation._resample(weights)["macro-F1"], strict=True):
        chosen = np.repeat(np.arange(40), row)
        truth, predicted = evaluation.truth[chosen], evaluation.predicted[chosen]
        assert found == pytest.approx(100 * f1_score(truth, predicted, average="macro"))


def test_bleu_of_added_counts_is_that_of_the_corpus() -> None:
    rng = np.random.default_rng(3)
    captions = [list(rng.choice(WORDS, 6)) for _ in range(20)]
    truths = [[list(rng.choice(WORDS, 5)) for _ in range(1 + n % 3)] for n in range(20)]
    chosen = [0, 0, 3, 7, 7, 7, 19]
    weights = np.bincount(chosen, minlength=20)
    expected = bleu([captions[n] for n in chosen], [truths[n] for n in chosen])
    assert bleu_of(weights @ count_items(captions, truths)) == pytest.approx(expected)


def test_the_interval_covers_the_true_mean_in_95_of_100_cases() -> None:
    rng = np.random.default_rng(4)
    hits = 0
    for _ in range(200):
        values = rng.normal(50, 10, 60)

        def mean(weights: np.ndarray, values: np.ndarray = values) -> dict[str, np.ndarray]:
            return {"mean": weights @ values / 60}

        low, high = bootstrap(60, mean)["mean"]
        hits += low <= 50 <= high
    assert 180 <= hits <= 198


@pytest.mark.parametrize("count", [1, UNRELIABLE - 1, UNRELIABLE])
def test_a_score_of_few_examples_gets_a_warning(count: int) -> None:
    for found in (labeled(count), captioned(count)):
        few = [text for text in found.warnings() if "its scores mean little" in text]
        assert len(few) == (count < UNRELIABLE)
        assert all(f"test has only {count} example" in text for text in few)


@pytest.mark.parametrize("count", [4, 5, 12, 30])
def test_equal_predictions_get_a_warning_from_five_examples_on(count: int) -> None:
    truth = [(str(number), "ab"[number % 2]) for number in range(count)]
    shares = np.tile([0.1, 0.9], (count, 1))
    labels = evaluation_of("test", "ab", truth, shares)
    for found in (labels, captioned(count, sentences=1)):
        collapsed = [text for text in found.warnings() if "hardly uses its inputs" in text]
        assert len(collapsed) == (count >= 5)
    varied = captioned(count, sentences=3).warnings()
    assert not any("hardly uses" in text for text in varied)
