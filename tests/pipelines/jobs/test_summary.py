"""The summary of a prepared dataset: records are read without TensorFlow."""

from __future__ import annotations

from pathlib import Path

import tensorflow as tf

from pipelines.jobs import summary


def test_records_written_by_tensorflow_are_read(tmp_path: Path) -> None:
    records = [b"", b"a", bytes(range(256)) * 1000]
    path = tmp_path / "some.tfrecord"
    with tf.io.TFRecordWriter(str(path)) as writer:
        for record in records:
            writer.write(record)
    assert list(summary._records(path)) == records
