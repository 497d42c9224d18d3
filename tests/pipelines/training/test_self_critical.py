from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from pycocoevalcap.cider.cider_scorer import CiderScorer as CocoCider

from data.media.vocabulary import END, PAD, START
from models.encoder_head import EncoderHead
from models.encoders.image import ImageEncoder
from models.heads.sequence_decoder import SequenceDecoder
from models.search.hypotheses import SearchOptions
from pipelines.config.config import Config
from pipelines.inputs.batches import Captions
from pipelines.inputs.tables import ImageTable
from pipelines.training.optimizer import training_policy
from pipelines.training.self_critical import SAMPLES, SelfCritical, advantages
from pipelines.training.trainer import Trainer

CONFIG = Config(
    epochs=12, patience=12, learning_rate=1e-2, warmup_steps=1, label_smoothing=0.0, ema_decay=0.0
)
TRUE = [[[4, 5, 6], [4, 5, 7]], [[8, 9], [8, 9, 10]], [[7, 6, 5], [7, 6, 11]]]


def sampler() -> SelfCritical:
    """Return a sampler of three images with two captions each, and an untrained captioner."""
    keras.utils.set_random_seed(1)
    encoder = ImageEncoder(16, 0.0)
    encoder.build((None, 2, 3))
    head = SequenceDecoder(12, units=16, embedding=16, dropout=0.0)
    model = EncoderHead(None, encoder, head)
    features = np.random.default_rng(0).normal(size=(3, 1, 2, 3)).astype(np.float16)
    captions = Captions(
        [np.array([START, *words, END], np.int32) for texts in TRUE for words in texts],
        np.repeat(np.arange(3), 2),
    )
    return SelfCritical(
        model,
        captions,
        ImageTable(("a", "b", "c"), features),
        SearchOptions(max_words=4),
        seed=0,
        policy=training_policy("auto"),
    )


def sampled(it: SelfCritical, epoch: int = 0, skip: int = 0) -> list[tuple[Any, Any]]:
    return list(it.batches(epoch, skip))


def test_a_caption_like_its_references_has_the_highest_reward() -> None:
    it = sampler()
    tokens = np.array([[4, 5, 6, END], [4, 5, END, PAD], [8, 9, 10, END]], np.int32)
    whole, fragment, of_another = it.reward(tokens, np.zeros(3, int))
    assert whole > fragment > of_another


def test_the_reward_includes_cider_d_with_the_end() -> None:
    it = sampler()
    tokens = np.array([[4, 5, 6, END], [8, 10, END, PAD], [5, 6, 7, END]], np.int32)
    coco = CocoCider()
    for row, texts in zip(tokens, TRUE, strict=True):
        candidate = " ".join(f"w{i}" for i in row if i != PAD)
        coco += (candidate, [" ".join(f"w{i}" for i in [*words, END]) for words in texts])
    _, expected = coco.compute_score()
    _, cider = it.cider.score([row[row != PAD].tolist() for row in tokens])
    np.testing.assert_allclose(cider, expected, atol=1e-9)
    assert (it.reward(tokens, np.arange(3)) > cider).all()


def test_batches_have_sampled_captions_and_their_advantages() -> None:
    it = sampler()
    ((rows, (tokens, example_index, weights)),) = sampled(it)
    assert rows.shape == (3, 2, 3)
    assert example_index.numpy().tolist() == np.repeat(range(3), SAMPLES).tolist()
    assert (tokens.numpy()[:, 0] == START).all()
    items = np.repeat(np.random.default_rng([0, 0]).permutation(3), SAMPLES)
    rewards = it.reward(tokens.numpy()[:, 1:], items)
    np.testing.assert_allclose(weights, advantages(rewards), atol=1e-6)
    np.testing.assert_allclose(weights.numpy().reshape(3, -1).sum(axis=1), 0, atol=1e-5)


def test_sampling_is_repeatable() -> None:
    it = sampler()
    one, again, other = sampled(it), sampled(it), sampled(it, epoch=1)
    for a, b in zip(tf.nest.flatten(one), tf.nest.flatten(again), strict=True):
        np.testing.assert_array_equal(a, b)
    assert (
        one[0][1][0].shape != other[0][1][0].shape or (one[0][1][0] != other[0][1][0]).numpy().any()
    )


def test_rewards_rise(tmp_path: Path) -> None:
    it = sampler()

    def mean_reward() -> float:
        ((_, (tokens, _, _)),) = sampled(it, epoch=99)
        items = np.random.default_rng([0, 99]).permutation(3)
        return float(it.reward(tokens.numpy()[:, 1:], np.repeat(items, SAMPLES)).mean())

    before = mean_reward()
    trainer = Trainer(it.model, CONFIG, tmp_path, 10)

    def batches(epoch: int, skip: int) -> Any:
        for number in range(skip, 10):
            yield from it.batches(epoch * 10 + number, 0)

    trainer.fit(batches, lambda epoch: {"score": epoch}, "score")
    assert mean_reward() > before + 1.0


def test_weights_weigh_the_loss() -> None:
    it = sampler()
    ((rows, (tokens, example_index, weights)),) = sampled(it)
    memory = it.model.encode(rows)
    whole = it.model.head.loss(memory, (tokens, example_index, weights))
    words = (tokens.numpy()[:, 1:] != PAD).sum(axis=1)
    each = [
        float(it.model.head.loss(memory, (tokens[i : i + 1], example_index[i : i + 1])))
        for i in range(len(example_index))
    ]
    expected = (np.array(each) * words * weights.numpy()).sum() / words.sum()
    assert float(whole) == pytest.approx(expected, abs=1e-5)
