"""The error for an unknown name."""

from __future__ import annotations

import pytest

from data.common.errors import UserError, unknown


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("lsmt", "unknown cell 'lsmt': did you mean 'lstm'? Known: gru, lstm, rnn."),
        ("rn", "unknown cell 'rn': did you mean 'rnn'? Known: gru, lstm, rnn."),
        ("elman", "unknown cell 'elman': Known: gru, lstm, rnn."),
        ("", "unknown cell '': Known: gru, lstm, rnn."),
    ],
)
def test_similar_names_are_suggested_and_all_are_listed(name: str, message: str) -> None:
    error = unknown("cell", name, (each for each in ("rnn", "lstm", "gru")))
    assert isinstance(error, UserError) and str(error) == message


def test_two_similar_names_are_suggested_at_most() -> None:
    text = str(unknown("split", "tests", ["test", "test1", "test2", "train"]))
    assert text.partition("? ")[0].count(" or ") == 1
