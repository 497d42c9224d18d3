"""Word vectors are part of what a run depends on."""

from __future__ import annotations

from pathlib import Path

import pytest

from data.common.errors import UserError
from pipelines.config.config import Config
from pipelines.tasks.assembly import build, prepare


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    monkeypatch.setenv("WORDREEL_DATA_DIR", str(tmp_path / "home"))
    source = tmp_path / "source"
    source.mkdir()
    rows = ["text,label,split"]
    for number in range(12):
        split = ("train", "train", "validation", "test")[number % 4]
        rows.append(f"a {('good', 'bad')[number // 4 % 2]} film {number},{number // 4 % 2},{split}")
    (source / "texts.csv").write_text("\n".join(rows) + "\n")
    return Config(
        task="text-classification",
        data="texts",
        source=str(source),
        word_vectors=str(tmp_path / "vectors.txt"),
        embedding_dim=2,
        units=4,
        min_count=1,
    )


def test_other_word_vectors_are_refused(tmp_path: Path, config: Config) -> None:
    vectors, folder = tmp_path / "vectors.txt", tmp_path / "run"
    vectors.write_text("film 1 2\ngood 3 4\nunused 5 6\n")
    build(config, prepare(config), folder)
    vectors.write_text("unused 0 0\ngood 3.0 4\nfilm 1 2\n")  # the same for these words
    build(config, prepare(config), folder)
    for text in ("film 1 2\ngood 3 5\n", "film 1 2\n", "film 3 4\ngood 1 2\n"):
        vectors.write_text(text)
        with pytest.raises(UserError, match=r"the word vectors of .*vectors\.txt changed since"):
            build(config, prepare(config), folder)
