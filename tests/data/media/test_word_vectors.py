"""Pretrained word vectors: accepted formats and errors with line numbers."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from data.common.errors import UserError
from data.media.word_vectors import read_vectors
from tests.support.tiny.reviews import tiny

GLOVE = "the 1 -0.5 2e-1\n2000 4 5 6\n. . 7 8 9\nfilm 0 0 1\nfilm 9 9 9\n"


def test_glove_and_fasttext_give_the_same_vectors(tmp_path: Path) -> None:
    path, words = tmp_path / "vectors.txt", {"film", "2000", "the", ". ."}
    expected = {"the": [1, -0.5, 0.2], "2000": [4, 5, 6], ". .": [7, 8, 9], "film": [0, 0, 1]}
    for text in (GLOVE, "5 3\n" + GLOVE.replace("\n", " \n")):
        path.write_text(text, encoding="utf-8")
        found = read_vectors(path, words, 3)
        assert found.keys() == expected.keys()
        for word, vector in expected.items():
            np.testing.assert_array_equal(found[word], np.array(vector, np.float32))
    assert read_vectors(path, {"film"}, 3).keys() == {"film"}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            b"a 1 2",
            "line 2: 2 numbers after the word, not 3: each line must have",
        ),
        (b"a 1 2 3 4", "line 2: 4 numbers after the word, not 3"),
        (b"", "line 2: 0 numbers"),
        (b"film 1 2 x", "line 2: 'x' is not a number"),
        (b"film 1 2 nan", "line 2: 'nan' is not a number"),
    ],
)
def test_a_wrong_line_is_reported(tmp_path: Path, line: bytes, message: str) -> None:
    path = tmp_path / "vectors.txt"
    path.write_bytes(b"the 1 2 3\n" + line + b"\n")
    with pytest.raises(UserError, match=message):
        read_vectors(path, {"film"}, 3)


def test_a_word_that_is_not_utf_8_is_counted_and_the_file_may_be_compressed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "cc.en.3.vec.gz"
    path.write_bytes(gzip.compress(b"3 3\nthe 1 2 3\n\xe9t\xe9 1 2 3\nfilm 4 5 6\n"))
    assert read_vectors(path, {"film", "the"}, 3)["film"].tolist() == [4, 5, 6]
    assert "1 words are not UTF-8 and are left out" in capsys.readouterr().err
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(UserError, match=r"cannot read .*vec.gz: "):
        read_vectors(path, {"film"}, 3)


def test_a_missing_file_is_reported(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"cannot read .*absent.txt: No such file"):
        read_vectors(tmp_path / "absent.txt", set(), 3)


def test_an_encoder_is_initialized_from_word_vectors(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "vectors.txt"
    path.write_text("film 1 2 3 4\nunheard 5 6 7 8\n")
    source = tiny(tmp_path, word_vectors=str(path)).source
    vectors, words = source.encoder.embedding.numpy() / 3, source.vocabulary  # tiny() triples all
    np.testing.assert_allclose(vectors[words.ids["film"]], [1, 2, 3, 4], rtol=1e-6)
    assert np.abs(vectors[words.ids["fine"]]).max() < 1
    assert f"has vectors of 1 of {len(words)} words" in capsys.readouterr().out
