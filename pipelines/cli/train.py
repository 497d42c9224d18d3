"""`python train.py`: from words on the command line to a configuration that a run can use.

Every field of `Config` is an option. A recipe gives their values, options given override it.
Nothing heavy is imported, so that mistakes and `--help` are answered at once.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib
import os
import pkgutil
import shutil
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import fill
from typing import Any, NamedTuple

from data.common.errors import UserError, unknown
from data.storage.dataset_info import find_dataset, is_known, source_folder
from models.backbones.names import resolve
from pipelines.config import recipes
from pipelines.config.config import Config, flag
from pipelines.config.renamed import (
    TASK_ALIASES,
    refuse_renamed_dataset,
    refuse_renamed_options,
)
from pipelines.config.task import TASKS, Task
from pipelines.runtime.console import Parser, number


class Recipe(NamedTuple):
    """A named configuration: its values, and what the module's first line says of it."""

    name: str
    config: Config
    summary: str


def parse(words: Sequence[str]) -> tuple[Config, Path | None]:
    """Return the configuration and the run directory (None: to be chosen) that `words` ask for.

    Raises:
        UserError: for a name, option or value that does not exist or cannot be used.
        SystemExit: after printing the help that `--help` asks for.
    """
    refuse_renamed_options(words)
    task, recipe = _choose_recipe(words)
    given = vars(_parser(task, recipe).parse(words))
    del given["recipe"]
    run_dir = given.pop("run_dir")
    given.setdefault("data", recipe.config.data)
    _check_names(given)
    if "beams" in given and "n_best" not in given:  # the default need not be overridden twice
        given["n_best"] = min(recipe.config.n_best, given["beams"])
    return _with_absolute_paths(dataclasses.replace(recipe.config, **given)), run_dir


def find_recipes() -> dict[str, Recipe]:
    """Return the recipes: the modules of `pipelines.config.recipes`, by name."""
    found = {}
    for module in pkgutil.walk_packages(recipes.__path__, f"{recipes.__name__}."):
        if not module.ispkg:
            recipe = importlib.import_module(module.name)
            name = module.name.rpartition(".")[2]
            summary = (recipe.__doc__ or "").partition("\n")[0]
            found[name] = Recipe(name, recipe.CONFIG, summary)
    return found


def _choose_recipe(words: Sequence[str]) -> tuple[Task, Recipe]:
    """Return the task, and the recipe named, else that of the dataset's name, else the task's."""
    first = Parser(add_help=False, prog="train.py")
    types = typing.get_type_hints(Config)
    for name in ("recipe", "run_dir", *(types.keys() - {"task"})):  # all, for their values
        reader = _reader(bool, "") if types.get(name) is bool else {}
        first.add_argument(flag(name), **reader)
    given, others = first.parse_known_args(words)
    known = find_recipes()
    if given.recipe is not None and given.recipe not in known:
        raise unknown("recipe", given.recipe, known)
    task = _choose_task(others, known.get(given.recipe))
    if given.data is not None and not is_known(given.data, task.datasets):
        refuse_renamed_dataset(given.data)
        others = [each.name for each in TASKS.values() if is_known(given.data, each.datasets)]
        if others:
            raise UserError(
                f"{given.data} is a dataset of {' or '.join(others)}, not of {task.name}: "
                f"train.py {others[0]} --data {given.data}"
            )
        raise unknown(f"dataset of {task.name}", given.data, task.datasets)
    if given.recipe is not None:
        recipe = known[given.recipe]
        if recipe.config.task != task.name:
            raise UserError(f"the recipe {recipe.name} is one of {recipe.config.task}")
        return task, recipe
    if given.data is None and given.source is not None:
        own = [name for name, info in task.datasets.items() if not info.generated]
        raise UserError(f"--source needs --data, which says what lies there: {', '.join(own)}")
    wanted = task.name, given.data or task.data
    fitting = (each for each in known.values() if (each.config.task, each.config.data) == wanted)
    return task, next(fitting, known[task.recipe])


def _choose_task(words: Sequence[str], recipe: Recipe | None) -> Task:
    """Return the task among words that are no option's, else the recipe's, else captioning."""
    for word in words:
        if (name := TASK_ALIASES.get(word, word)) in TASKS:
            return TASKS[name]
    return TASKS[recipe.config.task if recipe else "image-captioning"]


def _parser(task: Task, recipe: Recipe) -> Parser:
    parser = Parser(
        prog="train.py",
        usage="python train.py [TASK] [--data NAME --source DIR] [--recipe NAME] [options]",
        description=_description(task, recipe),
        epilog=f"examples:\n{task.examples}",
    )
    parser.add_argument(
        "task",
        nargs="?",
        default=task.name,
        metavar="TASK",
        type=lambda name: TASK_ALIASES.get(name, name),
        help="what to learn, with options of its own: see train.py TASK --help "
        "(default: image-captioning)",
    )
    parser.add_argument(
        "--recipe",
        metavar="NAME",
        help="where values come from that no option gives "
        f"(default: the dataset's own, else {task.recipe})",
    )
    parser.add_argument(
        "--run-dir",
        type=Path,
        metavar="DIR",
        help="where everything goes; the same command goes on with what is there "
        "(default: runs/TASK-DATA-HASH)",
    )
    groups: dict[str, Any] = {}
    types = typing.get_type_hints(Config)
    for field in dataclasses.fields(Config):
        if field.name == "task" or not task.uses(field):
            continue
        name = field.metadata["group"]
        if name not in groups:
            groups[name] = parser.add_argument_group(name)
        value = getattr(recipe.config, field.name)
        groups[name].add_argument(
            flag(field.name),
            default=argparse.SUPPRESS,
            help=_help(field, value),
            **_reader(types[field.name], "DIR" if field.name == "source" else "NAME"),
        )
    return parser


def _reader(annotation: Any, word: str) -> dict[str, Any]:
    """Return how argparse reads a field of this type; `word` stands for a text in the help.

    >>> _reader(int | None, "")["type"]("none"), _reader(float, "")["type"]("1e-3")
    (None, 0.001)
    """
    if annotation is bool:
        return {"action": argparse.BooleanOptionalAction}
    options = typing.get_args(annotation) or (annotation,)
    if int in options:
        return {"type": number(int, "a whole number", type(None) in options), "metavar": "N"}
    if float in options:
        return {"type": number(float, "a number", type(None) in options), "metavar": "X"}
    optional = type(None) in options
    return {"type": lambda text: None if optional and text == "none" else text, "metavar": word}


def _help(field: dataclasses.Field[Any], value: Any) -> str:
    """Return a field's explanation with its choices and the value it has if not given."""
    text = field.metadata["help"].replace("%", "%%")
    if field.metadata["known"]:
        text += ": " + ", ".join(field.metadata["known"])
    if isinstance(value, bool):
        value = flag(field.name if value else f"no_{field.name}")
    if value is None and field.name == "source":
        return text
    return f"{text} (default: {'none' if value is None else value})"


def _check_names(given: Mapping[str, Any]) -> None:
    """Refuse unknown names, and a source that is not there."""
    task = given["task"]
    if task not in TASKS:
        raise unknown("task", task, TASKS)
    for field in dataclasses.fields(Config):
        known, value = field.metadata["known"], given.get(field.name)
        if known and value is not None and value not in known:
            raise unknown(flag(field.name), value, known)
    backbone = given.get("backbone")
    if backbone is not None and not backbone.endswith(".keras"):
        try:
            resolve(backbone)
        except ValueError as error:
            raise UserError(f"{flag('backbone')}: {error}") from None
    source_folder(find_dataset(given["data"], TASKS[task].datasets), given.get("source"))


def _with_absolute_paths(config: Config) -> Config:
    """Let paths mean the same from every folder, and be there."""
    paths: dict[str, Any] = {}
    if config.source is not None:
        paths["source"] = _absolute(config.source)
    if config.backbone.endswith(".keras"):
        paths["backbone"] = _absolute(config.backbone)
    if config.weights.endswith(".h5"):
        paths["weights"] = _absolute(config.weights)
    if config.word_vectors is not None:
        paths["word_vectors"] = _absolute(config.word_vectors)
    for name in {"backbone", "weights", "word_vectors"} & paths.keys():
        if not Path(paths[name]).is_file():
            raise UserError(f"{flag(name)}: no such file: {paths[name]}")
    return dataclasses.replace(config, **paths)


def _absolute(path: str) -> str:
    return os.path.abspath(Path(path).expanduser())


def _description(task: Task, recipe: Recipe) -> str:
    sections = {
        "tasks": [(each.name, each.summary) for each in TASKS.values()],
        f"datasets of {task.name}": [
            (each.name, f"{each.summary}. Requires {each.layout}")
            for each in task.datasets.values()
        ],
        f"recipes of {task.name}": [
            (each.name, each.summary)
            for each in find_recipes().values()
            if each.config.task == task.name
        ],
    }
    lines = ["Train a model, score it, export it as a SavedModel and write a report."]
    for title, rows in sections.items():
        lines += ["", f"{title}:", *(_entry(name, text) for name, text in rows)]
    lines += ["", f"The defaults below are those of the recipe {recipe.name}."]
    return "\n".join(lines)


def _entry(name: str, text: str) -> str:
    """Lay out one row as argparse does its options."""
    indent = " " * 24
    width = min(96, shutil.get_terminal_size().columns - 2)
    return fill(text, width, initial_indent=f"  {name:22}", subsequent_indent=indent)
