"""Batches: everything once, alike in length, in an order that only the seed decides."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from data.media.vocabulary import END, PAD, START, Vocabulary
from pipelines.inputs.batches import Captions, Timed, caption_batches, note_lengths
from pipelines.inputs.tables import ImageTable, pad

WORDS = ["a", "red", "blue", "circle", "square", "above", "below", "the"]
VOCABULARY = Vocabulary.build([" ".join(WORDS)], min_count=1)


def made_up(images: int, seed: int = 0) -> tuple[Captions, ImageTable]:
    rng = np.random.default_rng(seed)
    names = [f"p{i}" for i in range(images)]
    examples = [
        (name, [" ".join(rng.choice(WORDS, rng.integers(1, 9))) for _ in range(rng.integers(1, 4))])
        for name in names
    ]
    rows = rng.integers(0, 255, (images, 1, 4, 6, 3)).astype(np.uint8)
    table = ImageTable(tuple(names), rows)
    return Captions.encode(examples, VOCABULARY, table.positions(), max_words=6), table


def test_waiting_for_batches_is_measured_without_the_work_on_them() -> None:
    now = 0.0

    def slow() -> Iterator[int]:
        nonlocal now
        for number, seconds in enumerate((100.0, 2.0, 3.0)):
            now += seconds
            yield number
        now += 4.0

    timed, seen = Timed(slow(), lambda: now), []
    for batch in timed:
        now += 50.0  # work
        seen.append(batch)
    assert seen == [0, 1, 2]
    assert timed.seconds == 2.0 + 3.0 + 4.0
    assert list(Timed([])) == []


@given(
    images=st.integers(1, 60),
    batch=st.integers(1, 17),
    seed=st.integers(0, 9),
    per_row=st.integers(0, 6),
)
@settings(max_examples=30, deadline=None)
def test_an_epoch_contains_every_caption_once(
    images: int, batch: int, seed: int, per_row: int
) -> None:
    captions, _ = made_up(images)
    batches = captions.batches(batch, seed, epoch=1, per_row=per_row)
    assert sorted(np.concatenate(batches)) == list(range(len(captions.tokens)))
    assert len(batches) == -(-len(captions.tokens) // batch)
    assert sorted(map(len, batches))[1:] == [batch] * (len(batches) - 1)


def test_order_depends_on_seed_and_epoch_alone() -> None:
    captions, _ = made_up(200)

    def order(seed: int, epoch: int) -> list[int]:
        return np.concatenate(captions.batches(8, seed, epoch)).tolist()

    assert order(1, 2) == order(1, 2)
    assert order(1, 2) != order(1, 3)
    assert order(1, 2) != order(2, 2)


def test_batches_have_little_padding() -> None:
    captions, table = made_up(600)
    epoch = caption_batches(captions, table, 16, per_row=0, seed=0, epoch=0)
    tokens = [batch.numpy() for _, (batch, _) in epoch]
    padding = sum((batch == PAD).sum() for batch in tokens) / sum(batch.size for batch in tokens)
    assert padding < 0.05


def test_resuming_in_the_middle_gives_the_rest_of_the_epoch() -> None:
    captions, table = made_up(40)
    options: dict[str, Any] = {"per_row": 3, "seed": 3, "epoch": 5}
    whole = list(caption_batches(captions, table, 8, **options))
    rest = list(caption_batches(captions, table, 8, **options, skip=4))
    assert len(rest) == len(whole) - 4 > 0
    for one, other in zip(tf.nest.flatten(whole[4:]), tf.nest.flatten(rest), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("per_row", [0, 1, 2, 5])
def test_each_caption_comes_with_its_image(per_row: int) -> None:
    captions, table = made_up(30)
    epoch = caption_batches(captions, table, 7, per_row=per_row, seed=0, epoch=0)
    seen = [
        (rows[index].numpy().tobytes(), tuple(t for t in words.numpy().tolist() if t != PAD))
        for rows, (tokens, example_index) in epoch
        for words, index in zip(tokens, example_index, strict=True)
    ]
    expected = [
        (table.rows[row, 0].tobytes(), tuple(tokens.tolist()))
        for row, tokens in zip(captions.rows, captions.tokens, strict=True)
    ]
    assert sorted(seen) == sorted(expected)


@pytest.mark.parametrize("per_row", [2, 5])
def test_captions_of_an_image_share_a_row(per_row: int) -> None:
    captions, table = made_up(60)
    visits = sum(-(-n // per_row) for n in np.bincount(captions.rows))
    epoch = caption_batches(captions, table, 16, per_row=per_row, seed=0, epoch=0)
    batches = [rows.shape[0] for rows, _ in epoch]
    assert visits <= sum(batches) <= visits + len(batches) - 1  # a batch's end can part a group


def test_captions_that_share_a_row_change_with_the_epoch() -> None:
    captions, _ = made_up(60)

    def pairs(epoch: int) -> set[frozenset[int]]:
        order = np.concatenate(captions.batches(999, 0, epoch, per_row=2)).tolist()
        rows = captions.rows
        return {frozenset(two) for two in pairwise(order) if rows[two[0]] == rows[two[1]]}

    assert pairs(0) == pairs(0)
    assert pairs(0) != pairs(1)


def test_flips_give_the_image_or_its_mirror_image() -> None:
    captions, table = made_up(30)
    table = dataclasses.replace(table, flips=True)
    epoch = caption_batches(captions, table, 7, per_row=5, seed=0, epoch=0)
    images = {rows.tobytes() for rows in table.rows[:, 0]}
    mirrored = {rows[:, ::-1].tobytes() for rows in table.rows[:, 0]}
    seen = [row.numpy().tobytes() for rows, _ in epoch for row in rows]
    assert set(seen) <= images | mirrored
    assert 0.2 < np.mean([row in mirrored for row in seen]) < 0.8


def test_mirrored_features_are_the_second_row() -> None:
    rows = np.arange(2 * 2 * 3 * 1, dtype=np.float16).reshape(2, 2, 3, 1)
    table, positions = ImageTable(("a", "b"), rows, flips=True), np.array([1, 0] * 5)
    read = table.read(positions, np.random.default_rng(0))
    mirrored = np.random.default_rng(0).random(10) < 0.5
    assert 0 < mirrored.sum() < 10
    np.testing.assert_array_equal(read, rows[positions, mirrored.astype(int)])
    np.testing.assert_array_equal(table.read(positions), rows[positions, 0])


def test_captions_get_start_and_end_and_are_truncated() -> None:
    table = ImageTable(("x",), np.zeros((1, 1, 1, 1, 3), np.uint8))
    captions = Captions.encode(
        [("x", ["a a a a a a a a"])], VOCABULARY, table.positions(), max_words=5
    )
    tokens = captions.tokens[0]
    assert tokens[0] == START and tokens[-1] == END and len(tokens) == 7


def test_pad_keeps_every_sequence() -> None:
    sequences = [np.array([1, 5, 2], np.int32), np.array([1, 2], np.int32)]
    assert pad(sequences).tolist() == [[1, 5, 2], [1, 2, PAD]]


def test_texts_of_one_word_each_are_noted(capsys: pytest.CaptureFixture[str]) -> None:
    texts = ["einhundläuft", "einekatzeschläft", "ein ball"]
    vocabulary = Vocabulary.build(texts, min_count=1)
    (note,) = note_lengths(texts, vocabulary, 9, "training captions")
    assert note.startswith("training captions have 1.3 words on average")
    assert note in capsys.readouterr().out
    assert note_lengths(["a dog runs", "หมาวิ่ง"], vocabulary, 9, "training captions") == []
