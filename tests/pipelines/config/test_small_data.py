"""The preset for small datasets is chosen by the number of training examples."""

from __future__ import annotations

from pathlib import Path

import pytest

from data.annotations.entries import Entry
from pipelines.cli.train import parse
from pipelines.config.config import Config
from pipelines.config.recipe import find_recipes
from pipelines.config.small_data import LIMIT, PRESET, count_training, note, with_preset
from tests.support.source_files import fill


def texts(folder: Path, count: int) -> list[str]:
    rows = [f"text number {n},{n % 2},train\n" for n in range(count)]
    rows += [f"other {n},{n % 2},{split}\n" for n in range(4) for split in ("dev", "test")]
    fill(folder, {"texts.csv": "text,label,split\n" + "".join(rows)})
    return ["text-classification", "--data", "texts", "--source", str(folder)]


def test_few_training_examples_choose_the_preset(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = find_recipes()["texts"].config
    small = parse(texts(tmp_path / "small", LIMIT - 1)).config
    said = capsys.readouterr().err
    assert small.small_data and (small.min_count, small.word_dropout) == (1, 0.1)
    assert said.startswith("note: small-data preset, for fewer than 500 training examples: --min-c")
    assert said.count("\n") == 1 and "--no-small-data switches it off" in said
    assert "--scst-epochs" not in said  # no option of this task
    large = parse(texts(tmp_path / "large", LIMIT)).config
    assert not large.small_data and large.min_count == recipe.min_count
    assert capsys.readouterr().err == ""


def test_options_and_recipes_of_the_user_are_kept(tmp_path: Path) -> None:
    words = texts(tmp_path, 20)
    chosen = parse([*words, "--min-count", "3", "--epochs", "2"]).config
    assert (chosen.small_data, chosen.min_count, chosen.epochs) == (True, 3, 2)
    assert chosen.word_dropout == PRESET["word_dropout"]
    assert not parse([*words, "--no-small-data"])[0].small_data
    assert not parse([*words, "--recipe", "texts"])[0].small_data
    assert parse([*words, "--recipe", "texts", "--small-data"])[0].small_data
    assert not parse(["text-classification"])[0].small_data  # generated


def test_captions_keep_their_words_without_scst_and_with_frozen_features() -> None:
    config = with_preset(find_recipes()["photos"].config)
    assert (config.min_count, config.scst_epochs, config.fine_tune_from) == (1, 0, None)
    assert "--fine-tune-from none" in note(config)
    assert with_preset(Config(epochs=4), ["epochs"]).epochs == 4


def test_four_fifths_of_the_examples_without_a_split_are_for_training() -> None:
    entries = [Entry("a", "a", "", (), split) for split in ["train"] * 3 + ["test"] * 9 + [""] * 10]
    assert count_training(entries) == 11
