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
from pipelines.cli.train import find_recipes, parse
from pipelines.config.config import Config, flag
from pipelines.config.run_directory import check_data, open_run
from pipelines.config.task import TASKS, Task
from tests.support.paths import ROOT

HEAVY = {"tensorflow", "keras", "tensorflow_datasets", "numpy", "matplotlib"}
FIELDS = {field.name: field for field in dataclasses.fields(Config) if field.name != "task"}


def config_of(*words: str) -> Config:
    return parse(words)[0]


def error_of(*words: str) -> str:
    with pytest.raises(UserError) as caught:
        parse(words)
    return str(caught.value)


def train(*words: str) -> tuple[int, str, str, set[str]]:
    """Run train.py; return its exit code, what it printed, and the packages it imported."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", ROOT / "train.py", *words],
        capture_output=True,
        text=True,
        env=os.environ | {"COLUMNS": "100"},
    )
    trace = re.findall(r"^import time:.*\| +([\w.]+)$", done.stderr, re.MULTILINE)
    said = re.sub(r"^import time:.*\n", "", done.stderr, flags=re.MULTILINE)
    assert "argparse" in trace
    return done.returncode, done.stdout, said, {name.partition(".")[0] for name in trace}


@pytest.fixture
def holiday(tmp_path: Path) -> Path:
    folder = tmp_path / "holiday"
    folder.mkdir()
    (folder / "captions.csv").write_text("image,caption\n")
    return folder


def other_value(field: dataclasses.Field[Any]) -> Any:
    """Return a valid value that is not the field's own."""
    if field.metadata["known"]:
        return next(value for value in field.metadata["known"] if value != field.default)
    kind = typing.get_type_hints(Config)[field.name]
    if kind is bool:
        return not field.default
    sound = {
        "backbone": "resnet50",
        "word_vectors": str(Path(__file__).resolve()),
        "crop": "0:1,0:0.5",
    }
    if field.name in sound:
        return sound[field.name]
    options = typing.get_args(kind) or (kind,)
    if int in options:
        return 64 if field.name in ("image_size", "beams") else 3
    return 0.25 if float in options else "some"


def task_with(name: str) -> str:
    """Return a task that has a field as its option."""
    return next(task.name for task in TASKS.values() if task.uses(FIELDS[name]))


@pytest.mark.parametrize("name", sorted(FIELDS.keys() - {"data", "source"}))
def test_every_field_is_a_flag_of_its_type(name: str) -> None:
    value = other_value(FIELDS[name])
    if isinstance(value, bool):
        words = [flag(name) if value else flag(f"no_{name}")]
    else:
        words = [flag(name), str(value)]
    got = getattr(config_of(task_with(name), *words), name)
    assert (got, type(got)) == (value, type(value))


def test_a_number_beyond_all_floats_is_refused() -> None:
    assert "--epochs takes a whole number, not '1000" in error_of("--epochs", "1" + 400 * "0")


def test_none_is_a_value_where_a_field_may_be_none() -> None:
    config = config_of("--fine-tune-from", "none", "--image-size", "none")
    assert (config.fine_tune_from, config.image_size) == (None, None)
    config = config_of("--test-splits", "none", "--train-split", "none")
    assert (config.test_splits, config.train_split) == ("none", "none")


def test_recipe_is_the_datasets_own_or_photos(holiday: Path) -> None:
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


def test_flags_override_the_recipe() -> None:
    recipe = find_recipes()["synthetic-scenes"].config
    changed = config_of("image-captioning", "--epochs", "77", "--dropout=0")
    assert changed == dataclasses.replace(recipe, epochs=77, dropout=0.0)


def test_fewer_beams_bring_fewer_captions() -> None:
    assert config_of("--beams", "1").n_best == 1
    assert "--n-best must be at most --beams" in error_of("--beams", "1", "--n-best", "2")


def test_run_dir_is_returned_beside_the_configuration() -> None:
    assert parse(["--run-dir", "somewhere"]) == (config_of(), Path("somewhere"))
    assert parse([])[1] is None


def test_source_means_the_same_from_every_folder(
    holiday: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(holiday.parent)
    monkeypatch.setenv("HOME", str(holiday.parent))
    for source in ("holiday", "./holiday/", "~/holiday", str(holiday)):
        assert config_of("--data", "folder", "--source", source).source == str(holiday)


def test_recipes_say_what_they_are() -> None:
    for name, recipe in find_recipes().items():
        text = sys.modules[f"pipelines.config.recipes.{name}"].__doc__ or ""
        for part in ("Paper:", "Command:", "Time:", "Expected:"):
            assert part in text, (name, part)
        assert recipe.summary


def test_recipes_are_what_their_commands_run(holiday: Path) -> None:
    for name, recipe in find_recipes().items():
        text = sys.modules[f"pipelines.config.recipes.{name}"].__doc__ or ""
        command = re.search(r"^Command: +python train\.py ?(.*)$", text, re.MULTILINE)
        assert command
        words = [str(holiday) if word == "DIR" else word for word in command[1].split()]
        assert dataclasses.replace(config_of(*words), source=None) == recipe.config


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
        ("image-captioning scenes", ["one word too many: 'scenes'"]),
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
        ("--data synthetic-scenes --source here", ["scenes takes no --source"]),
        ("--data folder --source /no/such/folder", ["no such folder: /no/such/folder"]),
        ("--data folder --source {empty}", ["is empty"]),
        ("--data folder --source {file}", ["is a file, not a folder"]),
        ("--weights gone.h5", ["--weights: no such file", "gone.h5"]),
        ("--seed 2147483648", ["--seed must be 0 to 2147483647, not 2147483648"]),
        ("--data folder --source sentiment", ["no such folder: sentiment"]),
        ("--word-vectors sentiment --run-dir image-captioning", ["unknown option --word-vectors"]),
        ("--backbone gone.keras", ["--backbone: no such file", "gone.keras"]),
    ],
)
def test_mistakes_are_named_in_a_line_or_two(words: str, parts: list[str], tmp_path: Path) -> None:
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
def test_mistakes_need_no_tensorflow(words: list[str]) -> None:
    code, out, said, imported = train(*words)
    assert (code, out) == (2, "")
    assert re.fullmatch(r"wordreel: error: [^\n]+\n", said)
    assert not imported & HEAVY


def test_options_of_another_run_are_refused_without_tensorflow(tmp_path: Path) -> None:
    open_run(config_of(), tmp_path)
    check_data(tmp_path, "content")
    code, out, said, imported = train("--run-dir", str(tmp_path), "--units", "7")
    assert (code, out) == (2, "")
    assert re.fullmatch(r"wordreel: error: [^\n]+--units was \d+, now 7[^\n]+\n", said)
    assert not imported & HEAVY


def test_a_backbone_that_is_none_is_named_with_the_nearest() -> None:
    assert "--backbone: unknown backbone 'none'" in error_of("--backbone", "none")
    text = error_of("--backbone", "resnet5")
    assert "--backbone: unknown backbone 'resnet5': did you mean 'ResNet50'" in text
    for name in ("small-cnn", "efficientnet_lite2", "mobilenet_v2", "ConvNeXtBase"):
        assert config_of("--backbone", name).backbone == name


def test_help_tells_all_and_needs_no_tensorflow() -> None:
    code, out, said, imported = train("--help")
    assert (code, said) == (0, "")
    assert not imported & HEAVY
    flags = set(re.findall(r"--[a-z][a-z-]+", out))
    own = [name for name, field in FIELDS.items() if TASKS["image-captioning"].uses(field)]
    assert flags >= {flag(name) for name in own}
    extra = {"--help", "--recipe", "--run-dir", *(flag(f"no_{name}") for name in own)}
    assert flags <= {flag(name) for name in own} | extra  # it advertises none that is not there
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
        with pytest.raises(SystemExit) as ended:
            parse([*words, "--help"])
        assert ended.value.code == 0
        out = " ".join(capsys.readouterr().out.split())
        assert f"recipe {recipe}." in out
        assert f"at most (default: {find_recipes()[recipe].config.epochs})" in out


@pytest.mark.parametrize("task", TASKS.values(), ids=list(TASKS))
def test_each_task_explains_itself(task: Task, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parse([task.name, "--help"])
    assert ended.value.code == 0
    out = capsys.readouterr().out
    one_line = " ".join(out.split())
    for info in task.datasets.values():
        assert " ".join(info.summary.split()) in one_line
    assert task.examples in out
    for recipe in find_recipes().values():  # those of other tasks would be refused
        listed = re.search(rf"^  {recipe.name} .*{recipe.summary.split()[0]}", out, re.MULTILINE)
        assert bool(listed) == (recipe.config.task == task.name), recipe.name
    for name, field in FIELDS.items():
        option = rf"^  {flag(name)}(?![\w-])"
        assert (re.search(option, out, re.MULTILINE) is not None) == task.uses(field)


@pytest.mark.parametrize("task", TASKS.values(), ids=list(TASKS))
def test_each_task_has_what_it_names(task: Task) -> None:
    for part in (task.source_class(), task.head_class()):
        assert isinstance(part, type)
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
    assert "the recipe scenes is one of image-captioning" in error_of(
        "text-classification", "--recipe", "synthetic-scenes"
    )


@pytest.mark.parametrize(
    "task, option",
    [
        ("text-classification", "--beams"),
        ("image-captioning", "--bidirectional"),
        ("image-classification", "--max-words"),
        ("translation", "--captions-per-image"),  # which is of captions, but of what is seen
    ],
)
def test_an_option_without_meaning_for_a_task_is_unknown_to_it(task: str, option: str) -> None:
    assert f"unknown option {option}" in error_of(task, option, "3")


def test_the_parts_that_options_are_of_are_those_of_tasks() -> None:
    known = {part for task in TASKS.values() for part in task.parts}
    named = " ".join(field.metadata["parts"] for field in FIELDS.values())
    assert set(re.findall(r"\w+", named)) == known


def test_tasks_that_work_are_in_the_readme() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for name in TASKS:
        assert re.search(rf"^\| {name} \|.*python train.py {name}`", readme, re.MULTILINE)
