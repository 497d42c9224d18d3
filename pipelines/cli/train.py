"""`python train.py` and `wordreel train`: from the command line to a run.

Every field of `Config` is an option. A recipe supplies the defaults. This module imports nothing
heavy at the top, so that `--help` and error messages appear immediately.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import shlex
import shutil
import sys
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import fill
from typing import Any, NamedTuple

from data.common.errors import UserError, unknown
from data.storage.dataset_info import find_dataset, is_known, source_folder
from models.backbones.names import resolve_name
from pipelines.config.config import Config, flag
from pipelines.config.config_file import as_arguments, read_options
from pipelines.config.init_from import check_init_from
from pipelines.config.monitor import SCORES, find_monitor
from pipelines.config.recipe import Recipe, find_recipes, recipe_of
from pipelines.config.renamed import (
    DATASETS,
    RECIPES,
    TASK_ALIASES,
    refuse_renamed,
    refuse_renamed_options,
)
from pipelines.config.run_directory import open_run
from pipelines.config.small_data import PRESET, is_small, note, with_preset
from pipelines.config.task import TASKS, Task
from pipelines.runtime.console import Parser, quiet_tensorflow
from pipelines.runtime.numbers import number
from pipelines.runtime.version import ShowVersions

SUMMARY = "train and evaluate a model, export it as a SavedModel and write a report"
STOPPED = "stopped; the same command resumes the run"  # after Ctrl-C

# The options that `--help` lists; `--help-all` lists every option.
COMMON_OPTIONS = frozenset(
    (
        *("data", "source", "languages", "embedding_dim", "word_vectors"),
        *("backbone", "fine_tune_from", "sample_frames", "layers", "decoder", "cell", "units"),
        *("dropout", "pooling", "epochs", "batch_size", "learning_rate", "scst_epochs"),
        *("seed", "beams", "init_from"),
    )
)
FOLDERS = ("source", "init_from")  # options whose value is one


class Arguments(NamedTuple):
    """The command line of `train.py`."""

    config: Config
    recipe: Recipe  # that supplied the defaults
    origins: Mapping[str, str]  # where other values come from, by field
    run_dir: Path | None  # None: the default
    callbacks: Sequence[str]  # import paths
    profile: bool
    dry_run: bool  # whether to stop before training


def main(arguments: Sequence[str], program: str = "wordreel train") -> int:
    """Train as the arguments say; return the exit code 0.

    Raises:
        UserError: for a mistake that the user can fix.
    """
    given = parse(arguments, program)
    check_init_from(given.config)
    folder = open_run(given.config, given.run_dir, dry_run=given.dry_run)
    quiet_tensorflow()
    from pipelines.training.distribution import restart_if_worker_lost
    from pipelines.training.run import run  # takes seconds to import: only after the checks

    with restart_if_worker_lost():
        run(
            given.config,
            folder,
            f"{program} {shlex.join(arguments)}".strip(),
            callbacks=given.callbacks,
            profile=given.profile,
            dry_run=given.dry_run,
        )
    return 0


def parse(arguments: Sequence[str], program: str = "python train.py") -> Arguments:
    """Parse the arguments of `train.py`.

    Args:
        arguments: the words after the program.
        program: for the help.

    Raises:
        UserError: for an unknown task, dataset, recipe, option or value.
        SystemExit: after `--help`, `--help-all` or `--version`.
    """
    refuse_renamed_options(arguments)
    arguments, origins = _with_config_file(arguments)
    task, recipe = _choose_recipe(arguments)
    parser = _parser(task, recipe, program, all_options="--help-all" in arguments)
    values = vars(parser.parse(arguments))
    explicit = values.pop("recipe") is not None
    rest = [values.pop(name) for name in ("run_dir", "callback", "profile", "dry_run")]
    del values["config"]
    values.setdefault("data", recipe.config.data)
    _check_names(values)
    if values.get("monitor") is not None:
        values["monitor"] = values["monitor"].lower().removeprefix("val_")
    if "beams" in values and "n_best" not in values:  # a smaller beam also limits the n-best list
        values["n_best"] = min(recipe.config.n_best, values["beams"])
    config = _with_absolute_paths(dataclasses.replace(recipe.config, **values))
    automatic = "small_data" not in values and not explicit and recipe.name == task.recipe
    if config.small_data or (automatic and is_small(config)):
        config = with_preset(config, values)
        print(f"note: {note(config)}", file=sys.stderr)
        origins = dict.fromkeys(PRESET.keys() - values.keys(), "small-data preset") | origins
    return Arguments(config, recipe, origins, *rest)


def _with_config_file(arguments: Sequence[str]) -> tuple[Sequence[str], dict[str, str]]:
    """Return the arguments after the options of `--config`, and where each option comes from."""
    given, words = _first_pass(arguments)
    options = {name: value for name, value in vars(given).items() if value is not None}
    origins = dict.fromkeys(options, "command line")
    if given.config is None:
        return arguments, origins
    task = next((word for word in words if not word.startswith("-")), None)
    stored = read_options(Path(given.config), TASK_ALIASES.get(task or "", task))
    if task is not None:
        stored.pop("task", None)
    if twice := stored.keys() & options.keys():
        names = ", ".join(sorted(twice))
        print(f"note: the command line replaces {names} of {given.config}", file=sys.stderr)
    return [*as_arguments(stored), *arguments], dict.fromkeys(stored, given.config) | origins


def _choose_recipe(arguments: Sequence[str]) -> tuple[Task, Recipe]:
    """Return the task and its recipe: by `--recipe`, else by `--data`, else the task's default."""
    given, others = _first_pass(arguments)
    known = find_recipes()
    if given.recipe is not None and given.recipe not in known:
        refuse_renamed("recipe", given.recipe, RECIPES)
        raise unknown("recipe", given.recipe, known)
    task = _choose_task(others, known.get(given.recipe))
    if given.data is not None and not is_known(given.data, task.datasets):
        raise _wrong_dataset(given.data, task)
    if given.recipe is not None:
        recipe = known[given.recipe]
        if recipe.config.task != task.name:
            raise UserError(
                f"the recipe {recipe.name} is for {recipe.config.task}, not for {task.name}"
            )
        return task, recipe
    if given.data is None and given.source is not None:
        own = [name for name, info in task.datasets.items() if not info.generated]
        raise UserError(f"--source needs --data with the type of the dataset: {', '.join(own)}")
    return task, recipe_of(task, given.data or task.data)


def _first_pass(arguments: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    """Return the values of all options as texts, and the arguments that are no option's value."""
    parser = Parser(add_help=False, prog="train.py")
    types = typing.get_type_hints(Config)
    for name in ("config", "recipe", "run_dir", "callback", *(types.keys() - {"task"})):
        settings = _argparse_settings(bool, "") if types.get(name) is bool else {}
        parser.add_argument(flag(name), **settings)
    return parser.parse_known_args(arguments)


def _choose_task(words: Sequence[str], recipe: Recipe | None) -> Task:
    """Return the first task among `words`, else the recipe's, else image captioning."""
    for word in words:
        name = TASK_ALIASES.get(word, word)
        if name in TASKS:
            if name != word:
                print(f"note: the task {word} is now called {name}", file=sys.stderr)
            return TASKS[name]
    return TASKS[recipe.config.task if recipe else "image-captioning"]


def _wrong_dataset(name: str, task: Task) -> UserError:
    """Return the error for a dataset that a task does not have."""
    refuse_renamed("dataset", name, DATASETS)
    others = [each.name for each in TASKS.values() if is_known(name, each.datasets)]
    if not others:
        return unknown(f"dataset of {task.name}", name, task.datasets)
    return UserError(
        f"{name} is a dataset of {' or '.join(others)}, not of {task.name}: "
        f"train.py {others[0]} --data {name}"
    )


def _parser(task: Task, recipe: Recipe, program: str, all_options: bool) -> Parser:
    """Return the parser of a task, with the recipe's values as the defaults in its help."""
    more = "" if all_options else f"{program} {task.name} --help-all shows every option.\n\n"
    parser = Parser(
        prog=program,
        usage=f"{program} [TASK] [--data NAME --source DIR] [--recipe NAME] [options]",
        description=_description(task, recipe),
        epilog=f"{more}examples:\n{task.examples.replace('python train.py', program)}",
    )
    parser.add_argument(
        "task",
        nargs="?",
        default=task.name,
        metavar="TASK",
        type=lambda name: TASK_ALIASES.get(name, name),
        help="task to train for; each has its own options, see train.py TASK --help "
        "(default: image-captioning)",
    )
    parser.add_argument("--help-all", action="help", help="show every option and exit")
    parser.add_argument("--version", action=ShowVersions)
    text = (
        "read options from a TOML file or the config.json of a run; the command line replaces them"
    )
    parser.add_argument("--config", metavar="FILE", help=text)
    default = f"(default: the one for the dataset, else {task.recipe})"
    text = f"preset that supplies the defaults {default}"
    parser.add_argument("--recipe", metavar="NAME", help=text)
    text = "output folder; the same command resumes the run in it (default: runs/TASK-DATA-HASH)"
    parser.add_argument("--run-dir", type=Path, metavar="DIR", help=text)
    text = "prepare the data, print a summary of the run and stop before training"
    parser.add_argument("--dry-run", action="store_true", help=text)
    _add_logs(parser, listed=all_options)
    groups: dict[str, Any] = {}
    types = typing.get_type_hints(Config)
    for field in dataclasses.fields(Config):
        if field.name == "task" or not task.uses(field):
            continue
        name = field.metadata["group"]
        if name not in groups:
            groups[name] = parser.add_argument_group(name)
        listed = all_options or field.name in COMMON_OPTIONS
        groups[name].add_argument(
            flag(field.name),
            default=argparse.SUPPRESS,
            help=_help(field, getattr(recipe.config, field.name)) if listed else argparse.SUPPRESS,
            **_argparse_settings(types[field.name], "DIR" if field.name in FOLDERS else "NAME"),
        )
    return parser


def _add_logs(parser: Parser, *, listed: bool) -> None:
    """Declare the options that are not part of the configuration: they change no result."""
    text = "Keras callback to call during training; may be repeated or comma-separated"
    parser.add_argument(
        "--callback",
        action="extend",
        default=[],
        type=lambda paths: paths.split(","),
        metavar="MODULE:NAME",
        help=text if listed else argparse.SUPPRESS,
    )
    text = "profile a few training steps for TensorBoard"
    parser.add_argument(
        "--profile", action="store_true", help=text if listed else argparse.SUPPRESS
    )


def _argparse_settings(annotation: Any, metavar: str) -> dict[str, Any]:
    """Return the settings of `add_argument` for a field of this type; `metavar` is of a text."""
    if annotation is bool:
        return {"action": argparse.BooleanOptionalAction}
    options = typing.get_args(annotation) or (annotation,)
    optional = type(None) in options
    for kind, letter in ((int, "N"), (float, "X")):
        if kind in options:
            return {"type": number(kind, optional=optional), "metavar": letter}
    return {"type": lambda text: None if optional and text == "none" else text, "metavar": metavar}


def _help(field: dataclasses.Field[Any], value: Any) -> str:
    """Return the help of a field with its choices and its default."""
    text = field.metadata["help"].replace("%", "%%")
    if isinstance(allowed := field.metadata["allowed"], tuple):
        text += ": " + ", ".join(allowed)
    if isinstance(value, bool):
        value = flag(field.name if value else f"no_{field.name}")
    if value is None and field.name == "source":
        return text
    return f"{text} (default: {'none' if value is None else value})"


def _check_names(values: Mapping[str, Any]) -> None:
    """Check the names of the task and the backbone, and the source folder."""
    task = values["task"]
    if task not in TASKS:
        raise unknown("task", task, TASKS)
    if (monitor := values.get("monitor")) is not None:
        find_monitor(monitor, SCORES[TASKS[task].answer])
    backbone = values.get("backbone")
    if backbone is not None and not backbone.endswith(".keras"):
        try:
            resolve_name(backbone)
        except ValueError as error:
            raise UserError(f"{flag('backbone')}: {error}") from None
    source_folder(find_dataset(values["data"], TASKS[task].datasets), values.get("source"))


def _with_absolute_paths(config: Config) -> Config:
    """Return the configuration with absolute paths; refuse files that do not exist."""
    paths: dict[str, Any] = {}
    suffixes = {"backbone": ".keras", "weights": ".h5", "word_vectors": ""}
    suffixes |= dict.fromkeys(FOLDERS, "")
    for name, suffix in suffixes.items():
        path: str | None = getattr(config, name)
        if path is not None and path.endswith(suffix):
            paths[name] = os.path.abspath(Path(path).expanduser())
            if name not in FOLDERS and not Path(paths[name]).is_file():
                raise UserError(f"{flag(name)}: no such file: {paths[name]}")
    return dataclasses.replace(config, **paths)


def _description(task: Task, recipe: Recipe) -> str:
    """Return the text above the options: tasks, and the datasets and recipes of one of them."""
    recipes = [each for each in find_recipes().values() if each.config.task == task.name]
    sections = {
        "tasks": [(each.name, each.summary) for each in TASKS.values()],
        f"datasets of {task.name}": [
            (each.name, f"{each.summary}. Requires {each.layout}")
            for each in task.datasets.values()
        ],
        f"recipes of {task.name}": [(each.name, each.summary) for each in recipes],
    }
    lines = [f"{SUMMARY[0].upper()}{SUMMARY[1:]}."]
    for title, rows in sections.items():
        lines += ["", f"{title}:", *(_entry(name, text) for name, text in rows)]
    lines += ["", f"Defaults are those of the recipe {recipe.name}."]
    return "\n".join(lines)


def _entry(name: str, text: str) -> str:
    """Format one row in the columns of argparse."""
    indent = " " * 24
    width = min(96, shutil.get_terminal_size().columns - 2)
    return fill(text, width, initial_indent=f"  {name:22}", subsequent_indent=indent)
