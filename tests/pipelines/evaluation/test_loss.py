"""The validation loss is that of training without dropout, and draws no random numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

import pipelines.evaluation.loss
from pipelines.tasks.initialization import copy_weights
from pipelines.training.gradient_norms import generator_states
from tests.support.tiny import pairs, reviews


def test_the_loss_of_sentences_is_the_mean_over_all_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment = pairs.tiny(tmp_path, dropout=0.5)
    states = [tf.identity(each) for each in generator_states(experiment.model)]
    _, loss = experiment.validate(0)
    monkeypatch.setattr(
        pipelines.evaluation.loss, "CAPTIONS", 2
    )  # the size of batches is no matter
    assert experiment.validate(0)[1] == pytest.approx(loss, rel=1e-5)
    for before, after in zip(states, generator_states(experiment.model), strict=True):
        np.testing.assert_array_equal(before, after)
    calm = pairs.tiny(tmp_path, dropout=0.0, train_split="validation")
    copy_weights(calm.model, experiment.model, {})
    losses = []
    for inputs, targets in calm.batches(0):
        words = float(calm.model.head.target_weight(targets))
        losses.append((words, float(calm.model.training_loss(inputs, targets))))
    expected = sum(words * each for words, each in losses) / sum(words for words, _ in losses)
    assert loss == pytest.approx(expected, rel=1e-5)


def test_the_loss_of_labels_is_that_of_their_probabilities(tmp_path: Path) -> None:
    experiment = reviews.tiny(tmp_path)
    evaluation, loss = experiment.validate(0)
    own = evaluation.probabilities[np.arange(evaluation.examples), evaluation.truth]
    assert loss == pytest.approx(-np.log(own).mean(), rel=1e-6)
