"""The summary of a prepared dataset: records are read without TensorFlow, words are counted."""

from __future__ import annotations

from pathlib import Path

import tensorflow as tf

from data.media.vocabulary import SPECIAL, Vocabulary
from pipelines.jobs import summary


def test_records_written_by_tensorflow_are_read(tmp_path: Path) -> None:
    records = [b"", b"a", bytes(range(256)) * 1000]
    path = tmp_path / "some.tfrecord"
    with tf.io.TFRecordWriter(str(path)) as writer:
        for record in records:
            writer.write(record)
    assert list(summary._records(path)) == records


def test_known_words_are_those_of_a_runs_vocabulary() -> None:
    train = ["a red dog"] * 5 + ["a blue cat"] * 4
    held = ["a red cat", "a dog dog dog"]
    vocabulary = Vocabulary.build(train, summary.MIN_COUNT)
    captions = {"train": train, "test": held, "none": []}
    counts = {split: summary._Counts(some) for split, some in captions.items()}
    first, second = summary._words("captions", counts)
    words = " ".join(held).split()
    share = sum(word in vocabulary.ids for word in words) / len(words)
    assert f"{share:.1%} of the words are among the {len(vocabulary) - len(SPECIAL)} " in second
    assert first.startswith("words in train: 9 captions of 3 to 3 words")
    assert second.startswith("words in test: 2 captions of 3 to 4 words, median 3")
