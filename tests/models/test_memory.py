"""Rows of a memory and of nested states."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from models.memory import Memory, gather_rows


def test_rows_of_every_tensor_are_gathered_and_types_remain() -> None:
    values = np.arange(24, dtype=np.float32).reshape(3, 2, 4)
    mask = np.array([[True, False], [True, True], [False, False]])
    memory = Memory(tf.constant(values), tf.constant(mask), tf.constant(values[:, 0]))
    rows = [2, 0, 0]
    found = gather_rows((memory, [memory.summary]), tf.constant(rows))
    assert isinstance(found[0], Memory)
    np.testing.assert_array_equal(found[0].values, values[rows])
    np.testing.assert_array_equal(found[0].mask, mask[rows])
    np.testing.assert_array_equal(found[1][0], values[rows, 0])
