from __future__ import annotations

import dataclasses
import os
import re
import subprocess
import sys
import typing
from pathlib import Path
from typing import Any

import pytest

from data.common.errors import UserError
from pipelines.cli.train import COMMON_OPTIONS, parse
from pipelines.config.config import Config, flag
from pipelines.config.recipe import find_recipes
from pipelines.config.run_directory import check_data, open_run
from pipelines.config.task import TASKS, Task
from pipelines.tasks.assembly import HEADS, SOURCES
from pipelines.tasks.caption_head import METRICS
from tests.support.paths import ROOT

HEAVY = {"tensorflow", "keras", "tensorflow_datasets", "numpy", "matplotlib"}
# Those that are no field of Config.
OWN_OPTIONS = {"--callback", "--config", "--dry-run", "--help-all", "--profile", "--recipe"}
OWN_OPTIONS |= {"--run-dir", "--version"}
FIELDS = {field.name: field for field in dataclasses.fields(Config) if field.name != "task"}


def config_of(*words: str) -> Config:
    return parse(words)[0]


def error_of(*words: str) -> str:
    with pytest.raises(UserError) as caught:
        parse(words)
    return str(caught.value)


def help_of(*words: str, capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as ended:
        parse(words)
    assert ended.value.code == 0
    return capsys.readouterr().out


def listed_options(text: str) -> set[str]:
    """Return the options that a help text lists, without those of every program."""
    found = set(re.findall(r"^  (--[a-z][a-z-]*)", text, re.MULTILINE))
    return found - OWN_OPTIONS


def train(*words: str) -> tuple[int, str, str, set[str]]:
    """Run train.py; return its exit code, stdout, stderr and the packages it imported."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", ROOT / "train.py", *words],
        capture_output=True,
        text=True,
        env=os.environ | {"COLUMNS": "100"},
    )
    trace = re.findall(r"^import time:.*\| +([\w.]+)$", done.stderr, re.MULTILINE)
    errors = re.sub(r"^import time:.*\n", "", done.stderr, flags=re.MULTILINE)
    assert "argparse" in trace
    return done.returncode, done.stdout, errors, {name.partition(".")[0] for name in trace}


@pytest.fixture
def holiday(tmp_path: Path) -> Path:
    folder = tmp_path / "holiday"
    folder.mkdir()
    (folder / "captions.csv").write_text("image,caption\n")
    return folder


def other_value(field: dataclasses.Field[Any]) -> Any:
    """Return a valid value that is not the field's default."""
    if isinstance(allowed := field.metadata["allowed"], tuple):
        return next(value for value in allowed if value != field.default)
    kind = typing.get_type_hints(Config)[field.name]
    if kind is bool:
        return not field.default
    valid = {
        "backbone": "resnet50",
        "word_vectors": str(Path(__file__).resolve()),
        "init_from": str(Path(__file__).resolve().parent),
        "monitor": "loss",
        "crop": "0:1,0:0.5",
    }
    if field.name in valid:
        return valid[field.name]
    options = typing.get_args(kind) or (kind,)
    if int in options:
        return 64 if field.name in ("image_size", "beams") else 3
    return 0.25 if float in options else "some"


def task_with(name: str) -> str:
    """Return a task that has the option of a field."""
    return next(task.name for task in TASKS.values() if task.uses(FIELDS[name]))


@pytest.mark.parametrize("name", sorted(FIELDS.keys() - {"data", "source"}))
def test_every_field_is_an_option_of_its_type(name: str) -> None:
    value = other_value(FIELDS[name])
    if isinstance(value, bool):
        words = [flag(name) if value else flag(f"no_{name}")]
    else:
        words = [flag(name), str(value)]
    got = getattr(config_of(task_with(name), *words), name)
    assert (got, type(got)) == (value, type(value))


def test_a_number_that_overflows_a_float_is_refused() -> None:
    assert "--epochs takes a whole number, not '1000" in error_of("--epochs", "1" + 400 * "0")


def test_optional_options_accept_none() -> None:
    config = config_of("--fine-tune-from", "none", "--image-size", "none")
    assert (config.fine_tune_from, config.image_size) == (None, None)
    config = config_of("--test-splits", "none", "--train-split", "none")
    assert (config.test_splits, config.train_split) == ("none", "none")


def test_the_dataset_selects_the_recipe(holiday: Path) -> None:
    recipes = find_recipes()
    source = ["--source", str(holiday)]

    def recipe_values(name: str) -> Config:
        return recipes[name].config

    assert config_of() == recipe_values("synthetic-scenes")
    for data, recipe in [("flickr8k", "flickr8k"), ("folder", "photos"), ("coco", "photos")]:
        expected = dataclasses.replace(recipe_values(recipe), data=data, source=str(holiday))
        assert config_of("--data", data, *source) == expected
    assert config_of("--recipe", "flickr8k", *source).data == "flickr8k"
    mixed = config_of("--recipe", "synthetic-scenes", "--data", "folder", *source)
    assert mixed == dataclasses.replace(
        recipe_values("synthetic-scenes"), data="folder", source=str(holiday)
    )


def test_options_override_the_recipe() -> None:
    recipe = find_recipes()["synthetic-scenes"].config
    changed = config_of("image-captioning", "--epochs", "77", "--dropout=0")
    assert changed == dataclasses.replace(recipe, epochs=77, dropout=0.0)


def test_beams_limit_the_default_of_n_best() -> None:
    assert config_of("--beams", "1").n_best == 1
    assert "--n-best must be at most --beams" in error_of("--beams", "1", "--n-best", "2")


def test_parse_returns_the_run_directory() -> None:
    given = parse(["--run-dir", "somewhere"])
    assert (given.config, given.run_dir) == (config_of(), Path("somewhere"))
    assert not (given.callbacks or given.profile or given.dry_run)
    assert parse([]).run_dir is None


def test_callbacks_may_be_repeated_or_separated_by_commas() -> None:
    given = parse(["--callback", "a:B,c:D", "--callback", "e:F", "--profile"])
    assert (given.callbacks, given.profile) == (["a:B", "c:D", "e:F"], True)
    assert parse([]).callbacks == []


def test_source_becomes_an_absolute_path(holiday: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(holiday.parent)
    monkeypatch.setenv("HOME", str(holiday.parent))
    for source in ("holiday", "./holiday/", "~/holiday", str(holiday)):
        assert config_of("--data", "folder", "--source", source).source == str(holiday)


@pytest.mark.parametrize(
    "words, parts",
    [
        ("image-captionin", ["unknown task 'image-captionin'", "'image-captioning'"]),
        ("--data flickr9k", ["unknown dataset of image-captioning 'flickr9k'", "'flickr8k'"]),
        ("--recipe flicker8k", ["unknown recipe 'flicker8k'", "'flickr8k'"]),
        ("--decoder updwn", ["unknown --decoder 'updwn'", "'updown'"]),
        ("--epoch 3", ["unknown option --epoch", "did you mean --epochs?"]),
        ("--epoch=3", ["unknown option --epoch", "did you mean --epochs?"]),
        ("image-captioning -q", ["unknown option -q", "train.py --help"]),
        ("--no-epochs", ["unknown option --no-epochs"]),
        ("image-captioning scenes", ["unexpected argument 'scenes'"]),
        ("--epochs", ["--epochs needs a value"]),
        ("--data", ["--data needs a value"]),
        ("--epochs many", ["--epochs takes a whole number, not 'many'"]),
        ("--epochs 2.5", ["--epochs takes a whole number, not '2.5'"]),
        ("--image-size big", ["--image-size takes a whole number or none, not 'big'"]),
        ("--learning-rate nan", ["--learning-rate takes a number, not 'nan'"]),
        ("--learning-rate -1", ["--learning-rate must be above 0, not -1"]),
        ("--epochs 0", ["--epochs must be at least 1, not 0"]),
        ("--data flickr8k", ["flickr8k needs --source DIR", "Flickr8k.token.txt"]),
        ("--source here", ["--source needs --data", "folder"]),
        ("--tint 3", ["--tint is now called --brightness"]),
        ("image-captioning --data scenes", ["dataset scenes is now called synthetic-scenes"]),
        ("--recipe drawn_clips", ["recipe drawn_clips is now called synthetic-clips"]),
        ("--fine-tune-layers some", ["unknown --fine-tune-layers 'some'"]),
        ("--data synthetic-scenes --source here", ["scenes takes no --source"]),
        ("--data folder --source /no/such/folder", ["no such folder: /no/such/folder"]),
        ("--data folder --source {empty}", ["is empty"]),
        ("--data folder --source {file}", ["is a file, not a folder"]),
        ("--weights gone.h5", ["--weights: no such file", "gone.h5"]),
        ("--monitor blue-4", ["unknown score of --monitor 'blue-4'", "'bleu-4'"]),
        ("image-classification --monitor bleu-4", ["Known: accuracy, loss, macro-f1, top-5"]),
        ("--seed 2147483648", ["--seed must be 0 to 2147483647, not 2147483648"]),
        ("--data folder --source sentiment", ["no such folder: sentiment"]),
        ("--word-vectors sentiment --run-dir image-captioning", ["unknown option --word-vectors"]),
        ("--backbone gone.keras", ["--backbone: no such file", "gone.keras"]),
    ],
)
def test_a_mistake_is_reported_in_one_line(words: str, parts: list[str], tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("x")
    text = error_of(*words.format(empty=tmp_path / "empty", file=tmp_path / "file").split())
    for part in parts:
        assert part in text
    assert "\n" not in text and len(text) < 300


@pytest.mark.parametrize(
    "words",
    [
        ["--epoch", "3"],
        ["sentimant"],
        ["--data", "coco"],
        ["--data", "folder", "--source", "/no/such/folder"],
        ["--epochs", "0"],
        ["--backbone", "resnet5"],
    ],
)
def test_a_mistake_is_reported_without_tensorflow(words: list[str]) -> None:
    code, out, errors, imported = train(*words)
    assert (code, out) == (2, "")
    assert re.fullmatch(r"wordreel: error: [^\n]+\n", errors)
    assert not imported & HEAVY


def test_changed_options_of_a_run_are_refused_without_tensorflow(tmp_path: Path) -> None:
    open_run(config_of(), tmp_path)
    check_data(tmp_path, {"the dataset": "content"})
    code, out, errors, imported = train("--run-dir", str(tmp_path), "--units", "7")
    assert (code, out) == (2, "")
    assert re.fullmatch(r"wordreel: error: [^\n]+--units was \d+, now 7[^\n]+\n", errors)
    assert not imported & HEAVY


def test_an_unknown_backbone_is_reported_with_the_nearest_name() -> None:
    assert "--backbone: unknown backbone 'none'" in error_of("--backbone", "none")
    text = error_of("--backbone", "resnet5")
    assert "--backbone: unknown backbone 'resnet5': did you mean 'ResNet50'" in text
    for name in ("small-cnn", "efficientnet_lite2", "mobilenet_v2", "ConvNeXtBase"):
        assert config_of("--backbone", name).backbone == name


def test_help_all_lists_every_option_without_tensorflow() -> None:
    code, out, errors, imported = train("--help-all")
    assert (code, errors) == (0, "")
    assert not imported & HEAVY
    mentioned = set(re.findall(r"--[a-z][a-z-]+", out))
    own = [name for name, field in FIELDS.items() if TASKS["image-captioning"].uses(field)]
    assert listed_options(out) == {flag(name) for name in own}
    extra = {"--help", *OWN_OPTIONS, *(flag(f"no_{name}") for name in own)}
    assert mentioned <= {flag(name) for name in own} | extra  # no option that does not exist
    one_line = " ".join(out.split())
    for info in TASKS["image-captioning"].datasets.values():
        assert " ".join(info.summary.split()) in one_line
        assert " ".join(info.layout.split()) in one_line
    for name in TASKS:
        assert re.search(rf"^  {name} ", out, re.MULTILINE), name
    assert out.count("  python train.py") == 3
    assert max(map(len, out.splitlines())) <= 100


def test_help_shows_the_defaults_of_the_recipe_in_use(capsys: pytest.CaptureFixture[str]) -> None:
    for words, recipe in ([], "synthetic-scenes"), (["--data", "folder"], "photos"):
        out = " ".join(help_of(*words, "--help", capsys=capsys).split())
        assert f"recipe {recipe}." in out
        assert f"training epochs (default: {find_recipes()[recipe].config.epochs})" in out


@pytest.mark.parametrize("task", TASKS.values(), ids=list(TASKS))
def test_help_lists_the_common_options_of_a_task(
    task: Task, capsys: pytest.CaptureFixture[str]
) -> None:
    out = help_of(task.name, "--help", capsys=capsys)
    common = {flag(name) for name in COMMON_OPTIONS if task.uses(FIELDS[name])}
    assert listed_options(out) == common
    assert 8 <= len(common) <= 17
    assert f"train.py {task.name} --help-all" in out


@pytest.mark.parametrize("task", TASKS.values(), ids=list(TASKS))
def test_help_all_describes_a_task(task: Task, capsys: pytest.CaptureFixture[str]) -> None:
    out = help_of(task.name, "--help-all", capsys=capsys)
    one_line = " ".join(out.split())
    for info in task.datasets.values():
        assert " ".join(info.summary.split()) in one_line
    assert task.examples in out
    for recipe in find_recipes().values():  # recipes of other tasks cannot be used
        listed = re.search(rf"^  {recipe.name} .*{recipe.summary.split()[0]}", out, re.MULTILINE)
        assert bool(listed) == (recipe.config.task == task.name), recipe.name
    assert listed_options(out) == {flag(name) for name, field in FIELDS.items() if task.uses(field)}


def test_the_old_name_of_text_classification_is_accepted_with_a_note(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert config_of("sentiment") == config_of("text-classification")
    assert capsys.readouterr().err == (
        "note: the task sentiment is now called text-classification\n"
    )


@pytest.mark.parametrize("task", TASKS.values(), ids=list(TASKS))
def test_tasks_name_existing_classes_datasets_and_recipes(task: Task) -> None:
    assert task.input in SOURCES and task.head in HEADS
    assert task.head == "labels" or task.answer in METRICS
    recipes = find_recipes()
    assert task.data in task.datasets
    assert {recipes[task.recipe].config.task, config_of(task.name).task} == {task.name}
    for recipe in recipes.values():
        if recipe.config.task == task.name:
            assert recipe.config.data in task.datasets


def test_a_dataset_or_recipe_of_another_task_is_refused() -> None:
    assert "scenes is a dataset of image-captioning" in error_of(
        "text-classification", "--data", "synthetic-scenes"
    )
    assert "train.py text-classification --data sst2" in error_of("--data", "sst2", "--source", ".")
    assert "unknown dataset of text-classification 'sst'" in error_of(
        "text-classification", "--data", "sst"
    )
    assert "the recipe synthetic-scenes is for image-captioning" in error_of(
        "text-classification", "--recipe", "synthetic-scenes"
    )


@pytest.mark.parametrize(
    "task, option",
    [
        ("text-classification", "--beams"),
        ("image-captioning", "--bidirectional"),
        ("image-classification", "--max-words"),
        ("translation", "--captions-per-image"),  # requires images or clips
    ],
)
def test_an_option_of_another_task_is_refused(task: str, option: str) -> None:
    assert f"unknown option {option}" in error_of(task, option, "3")


def test_every_requirement_of_an_option_is_provided_by_a_task() -> None:
    known = {name for task in TASKS.values() for name in task.provides}
    named = " ".join(field.metadata["requires"] for field in FIELDS.values())
    assert set(re.findall(r"\w+", named)) == known


def test_the_readme_lists_every_task() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for name in TASKS:
        assert re.search(rf"^\| {name} \|.*python train.py {name}`", readme, re.MULTILINE)
