"""A run directory belongs to one run and one process at a time; errors name the cause."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from data.common.errors import UserError
from pipelines.config.config import Config
from pipelines.config.run_directory import check_data, is_complete, open_run, read_config
from tests.support.paths import ROOT


@pytest.mark.parametrize("content", ["", "[]", "[" * 100_000, "\0"])
def test_a_damaged_configuration_is_reported(content: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(content)
    with pytest.raises(UserError, match=r"config\.json is damaged.*another --run-dir"):
        open_run(Config(), tmp_path)


def test_a_process_holds_its_directory_until_it_ends(tmp_path: Path) -> None:
    code = (
        "from pathlib import Path; from pipelines.config.config import Config\n"
        "from pipelines.config.run_directory import open_run\n"
        f"for _ in range(2): open_run(Config(), Path({str(tmp_path)!r}))\n"
        "print('open', flush=True); input()"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with other:
        assert other.stdout and other.stdout.readline() == b"open\n"
        with pytest.raises(UserError, match="another process uses"):
            open_run(Config(), tmp_path)
        other.kill()
    assert open_run(Config(), tmp_path) == open_run(Config(), tmp_path) == tmp_path


def test_options_may_change_until_training_starts(tmp_path: Path) -> None:
    open_run(Config(max_bad=0.0), tmp_path)
    (tmp_path / "vocabulary.txt").write_text("of those options\n")
    assert open_run(Config(), tmp_path) == tmp_path
    assert Config.from_json((tmp_path / "config.json").read_text()) == Config()
    assert not (tmp_path / "vocabulary.txt").exists()
    check_data(tmp_path, {"the dataset": "content"})
    with pytest.raises(UserError, match=r"other options \(--max-bad was 0\.01, now 0\.0\)"):
        open_run(Config(max_bad=0.0), tmp_path)


def test_epochs_and_patience_of_a_run_may_be_raised_and_nothing_else(tmp_path: Path) -> None:
    old, new = Config(epochs=2, patience=1), Config(epochs=5, patience=2)
    open_run(old, tmp_path)
    check_data(tmp_path, {"the dataset": "content"})
    (tmp_path / "metrics.json").write_text("{}")
    assert is_complete(tmp_path, old) and not is_complete(tmp_path, new)
    for other in (Config(epochs=5, patience=1, units=8), Config(epochs=1, patience=1)):
        with pytest.raises(UserError, match=r"--epochs was 2, now .*may be raised"):
            open_run(other, tmp_path)
    assert (tmp_path / "metrics.json").exists()
    open_run(new, tmp_path)
    assert not (tmp_path / "metrics.json").exists()
    assert read_config(tmp_path) == new
    (tmp_path / "self-critical").mkdir()
    with pytest.raises(UserError, match=r"after self-critical training.*--init-from"):
        open_run(Config(epochs=6, patience=2), tmp_path)


def test_changed_data_or_vocabularies_are_refused_by_name(tmp_path: Path) -> None:
    for name in ("vocabulary.txt", "source-vocabulary.txt", "labels.txt"):
        (tmp_path / name).write_text("a\n")
    check_data(tmp_path, {"the dataset": "content"})
    check_data(tmp_path, {"the dataset": "content"})
    with pytest.raises(UserError, match="other training data: the dataset changed since"):
        check_data(tmp_path, {"the dataset": "other content"})
    (tmp_path / "labels.txt").write_text("b\n")
    (tmp_path / "source-vocabulary.txt").unlink()
    with pytest.raises(UserError, match=r"source-vocabulary\.txt and labels\.txt changed since"):
        check_data(tmp_path, {"the dataset": "content"})


def test_changed_weights_and_vectors_are_refused_by_name(tmp_path: Path) -> None:
    pins = {"the dataset": "a", "the weights of the backbone (x)": "b", "the word vectors": "c"}
    check_data(tmp_path, pins)
    for name in list(pins)[1:]:
        with pytest.raises(UserError, match=re.escape(f"training data: {name} changed since")):
            check_data(tmp_path, {**pins, name: "other"})
    with pytest.raises(UserError, match="the word vectors changed since"):
        check_data(tmp_path, {name: pins[name] for name in list(pins)[:2]})


def test_a_run_of_an_older_version_pinned_less(tmp_path: Path) -> None:
    check_data(tmp_path, {"the dataset": "a"})
    check_data(tmp_path, {"the dataset": "a", "the weights of the backbone": "b"})


def test_a_vocabulary_of_a_start_without_training_is_built_again(tmp_path: Path) -> None:
    open_run(Config(), tmp_path)
    (tmp_path / "vocabulary.txt").write_text("words of data that were replaced\n")
    open_run(Config(), tmp_path)
    assert not (tmp_path / "vocabulary.txt").exists()
    (tmp_path / "vocabulary.txt").write_text("words\n")
    check_data(tmp_path, {"the dataset": "a"})
    open_run(Config(), tmp_path)
    assert (tmp_path / "vocabulary.txt").exists()
