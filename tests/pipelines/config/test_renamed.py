from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from data.common.errors import UserError
from models.search.hypotheses import SearchOptions
from pipelines.cli.main import COMMANDS as CURRENT_COMMANDS
from pipelines.config.config import Config
from pipelines.config.renamed import (
    COMMANDS,
    DATASETS,
    OPTIONS,
    TASK_ALIASES,
    current_fields,
    refuse_renamed,
    refuse_renamed_options,
)
from pipelines.config.run_directory import open_run
from pipelines.config.task import TASKS

FIELDS = {field.name for field in dataclasses.fields(Config)}
# The configuration of a run of version 0.1, as its config.json had it.
OLD = {
    "task": "sentiment",
    "data": "opinions",
    "weights": None,
    "punctuation": True,
    "embedding": 64,
    "two_way": False,
    "frame_grid": "places",
    "ema": 0.9,
    "no_repeat_ngram": 2,
    "seed": 3,
}
NEW = Config(
    task="text-classification",
    data="synthetic-reviews",
    keep_punctuation=True,
    embedding_dim=64,
    bidirectional=False,
    frame_pooling="spatial",
    ema_decay=0.9,
    no_repeat_ngram_size=2,
    seed=3,
)


def test_every_new_name_exists() -> None:
    options = {name.removeprefix("--").replace("-", "_") for name in OPTIONS.values()}
    assert options <= FIELDS
    assert set(TASK_ALIASES.values()) <= TASKS.keys()
    assert set(COMMANDS.values()) <= CURRENT_COMMANDS.keys()
    known = {name for task in TASKS.values() for name in task.datasets}
    assert set(DATASETS.values()) <= known


def test_current_names_do_not_change() -> None:
    fields = dataclasses.asdict(Config())
    assert current_fields(fields) == fields


def test_a_configuration_of_version_0_1_is_read() -> None:
    assert Config.from_json(json.dumps(OLD)) == NEW


def test_the_search_of_an_export_of_version_0_1_is_read() -> None:
    stored = {"beams": 3, "max_words": 9, "no_repeat_ngram": 2, "suppress_unknown": True}
    expected = SearchOptions(beams=3, max_words=9, no_repeat_ngram_size=2)
    assert SearchOptions(**current_fields(stored)) == expected


@pytest.mark.parametrize("text", ["[]", "1", "{", '{"unknown": 1}'])
def test_a_damaged_configuration_is_refused(text: str) -> None:
    with pytest.raises((TypeError, ValueError)):
        Config.from_json(text)


def test_the_options_of_a_run_of_version_0_1_are_compared(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(OLD))
    (tmp_path / "data.json").write_text("{}")
    assert open_run(NEW, tmp_path) == tmp_path
    with pytest.raises(UserError, match=r"--embedding-dim was 64, now 32"):
        open_run(dataclasses.replace(NEW, embedding_dim=32), tmp_path)


def test_an_old_dataset_is_refused_with_its_new_name() -> None:
    with pytest.raises(UserError, match="the dataset scenes is now called synthetic-scenes"):
        refuse_renamed("dataset", "scenes", DATASETS)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("--two-way", "--bidirectional"),
        ("--no-two-way", "--no-bidirectional"),
        ("--no-repeat-ngram=2", "--no-repeat-ngram-size"),
    ],
)
def test_an_old_option_is_refused_with_its_new_name(old: str, new: str) -> None:
    with pytest.raises(UserError, match=f"is now called {new}$"):
        refuse_renamed_options(["train.py", old])
