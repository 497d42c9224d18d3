"""`--config`: options in TOML or in the config.json of a run."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from data.common.errors import UserError
from pipelines.cli.train import parse
from pipelines.config.config import Config
from pipelines.config.config_file import read_options, to_toml
from pipelines.config.recipe import find_recipes
from pipelines.config.task import TASKS


def write(folder: Path, *lines: str) -> str:
    path = folder / "own.toml"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return str(path)


@pytest.mark.parametrize("name", find_recipes())
def test_the_printed_configuration_of_every_recipe_is_read_back(name: str, tmp_path: Path) -> None:
    config = find_recipes()[name].config
    if not TASKS[config.task].datasets[config.data].generated:
        source = None if config.data == "digits" else str(tmp_path)
        config = dataclasses.replace(config, source=source, weights='a "b" \\ ü')
    if not TASKS[config.task].uses(Config.__dataclass_fields__["weights"]):
        config = dataclasses.replace(config, weights="auto")
    file = write(tmp_path, to_toml(config, {"epochs": "command line"}))
    assert parse(["--config", file]).config == config


def test_the_configuration_of_a_run_is_read_with_old_names(tmp_path: Path) -> None:
    run = dataclasses.replace(find_recipes()["texts"].config, data="synthetic-reviews", seed=9)
    text = run.to_json().replace('"synthetic-reviews"', '"opinions"')
    (tmp_path / "config.json").write_text(text)
    for file in (tmp_path, tmp_path / "config.json"):
        assert parse(["--config", str(file)]).config == run
    assert parse(["--config", str(tmp_path), "--seed", "3"]).config.seed == 3


def test_the_command_line_replaces_the_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write(tmp_path, 'task = "sentiment"', "batch-size = 7", "epochs = 3", "run_dir = 'x'")
    request = parse(["--epochs", "5", "--config", file, "--no-bidirectional"])
    config = request.config
    assert (config.task, config.batch_size, config.epochs) == ("text-classification", 7, 5)
    assert not config.bidirectional and request.run_dir == Path("x")
    assert f"note: the command line replaces epochs of {file}\n" in capsys.readouterr().err
    assert request.origins["epochs"] == request.origins["bidirectional"] == "command line"
    assert request.origins["batch_size"] == file
    assert parse(["translation", "--config", write(tmp_path, "units = 4")]).config.units == 4


@pytest.mark.parametrize(
    "line, message",
    [
        ("epoch = 3", "line 2: unknown option epoch: did you mean epochs?"),
        ("zzz = 3", "line 2: unknown option zzz: see train.py --help-all"),
        ("tint = 0.1", "line 2: --tint is now called --brightness"),
        ("[training]", "line 2: unknown option training"),
        ('epochs = "10"', 'line 2: epochs takes a whole number, not "10"'),
        ("epochs = true", "line 2: epochs takes a whole number, not true"),
        ("epochs = 2.5", "line 2: epochs takes a whole number, not 2.5"),
        ("image-size = 'big'", 'line 2: image-size takes a whole number or none, not "big"'),
        ("flips = 1", "line 2: flips takes true or false, not 1"),
        ("source = 1979-05-27", 'line 2: source takes a text in quotes or none, not "1979-05-27"'),
        ("test_splits = ['a']", 'line 2: test_splits takes a text in quotes, not ["a"]'),
        ("epochs = 0", "line 2: epochs must be at least 1, not 0"),
        ("learning_rate = nan", "line 2: learning_rate must be above 0, not nan"),
        ("decoder = 'updwn'", "line 2: unknown decoder 'updwn': did you mean 'updown'?"),
        ("layers = 2", "line 2: layers is not an option of image-captioning"),
        ("epochs =", "is not TOML: Invalid value (at line 2"),
    ],
)
def test_a_mistake_is_named_with_its_line(line: str, message: str, tmp_path: Path) -> None:
    file = write(tmp_path, "task = 'image-captioning'", line)
    with pytest.raises(UserError) as caught:
        read_options(Path(file))
    assert file in str(caught.value)
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "binary.toml").write_bytes(b"\xff")
    (tmp_path / "list.json").write_text("[]")
    for name, message in (
        ("gone.toml", "no such file"),
        ("binary.toml", "not UTF-8"),
        ("list.json", "is not a JSON object"),
        ("", "config.json: no such file"),
    ):
        with pytest.raises(UserError, match=message):
            parse(["--config", str(tmp_path / name)])
