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

from data.datasets import DATASETS, source_folder
from data.errors import UserError, unknown
from models.backbone_names import resolve
from pipelines import recipes
from pipelines.config import Config, flag
from pipelines.console import Parser, number

TASKS: Mapping[str, str] = {"image-captioning": "picture → sentence"}
PLANNED_TASKS: Mapping[str, str] = {
    "image-classification": "picture → label",
    "video-captioning": "clip → sentence",
    "action-recognition": "clip → label",
    "translation": "sentence → sentence",
    "sentiment": "sentence → label",
}

_EXAMPLES = """\
examples:
  python train.py
      the drawn scenes: minutes, no download
  python train.py image-captioning --data folder --source holiday
      your own pictures: holiday/images/ and holiday/captions.csv
  python train.py image-captioning --data flickr8k --source Flickr8k --seed 1 --run-dir runs/second
      Flickr8k by its recipe, but for the seed"""


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
    recipe = _choose_recipe(words)
    given = vars(_parser(recipe).parse(words))
    del given["recipe"]
    run_dir = given.pop("run_dir")
    given.setdefault("data", recipe.config.data)
    _check_names(given)
    if "beams" in given and "n_best" not in given:  # the default need not be overridden twice
        given["n_best"] = min(recipe.config.n_best, given["beams"])
    return _with_absolute_paths(dataclasses.replace(recipe.config, **given)), run_dir


def find_recipes() -> dict[str, Recipe]:
    """Return the recipes: the modules of `pipelines.recipes`, by name."""
    found = {}
    for module in pkgutil.iter_modules(recipes.__path__):
        recipe = importlib.import_module(f"{recipes.__name__}.{module.name}")
        summary = (recipe.__doc__ or "").partition("\n")[0]
        found[module.name] = Recipe(module.name, recipe.CONFIG, summary)
    return found


def _choose_recipe(words: Sequence[str]) -> Recipe:
    """Return the recipe named, else that of the dataset's name, else `photos`."""
    first = Parser(add_help=False, prog="train.py")
    for name in ("--recipe", "--data", "--source"):
        first.add_argument(name)
    given, _ = first.parse_known_args(words)
    known = find_recipes()
    if given.data is not None and given.data not in DATASETS:
        raise unknown("dataset", given.data, DATASETS)
    if given.recipe is not None:
        if given.recipe not in known:
            raise unknown("recipe", given.recipe, known)
        return known[given.recipe]
    if given.data is None and given.source is not None:
        raise UserError(
            "--source needs --data, which says what lies there: folder (your own pictures), "
            + ", ".join(name for name in DATASETS if name not in ("scenes", "folder"))
        )
    return known.get(given.data or "scenes", known["photos"])


def _parser(recipe: Recipe) -> Parser:
    parser = Parser(
        prog="train.py",
        usage="python train.py [TASK] [--data NAME --source DIR] [--recipe NAME] [options]",
        description=_description(recipe),
        epilog=_EXAMPLES,
    )
    parser.add_argument(
        "task",
        nargs="?",
        default="image-captioning",
        metavar="TASK",
        help="what to learn (default: image-captioning)",
    )
    parser.add_argument(
        "--recipe",
        metavar="NAME",
        help="where values come from that no option gives "
        "(default: the dataset's own, else photos)",
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
        if field.name == "task":
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
    return {"type": lambda text: None if text == "none" else text, "metavar": word}


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
    if task in PLANNED_TASKS:
        raise UserError(f"{task} is planned, not there yet. What works: {', '.join(TASKS)}")
    if task not in TASKS:
        raise unknown("task", task, [*TASKS, *PLANNED_TASKS])
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
    source_folder(DATASETS[given["data"]], given.get("source"))


def _with_absolute_paths(config: Config) -> Config:
    """Let paths mean the same from every folder, and be there."""
    paths: dict[str, Any] = {}
    if config.source is not None:
        paths["source"] = _absolute(config.source)
    if config.backbone.endswith(".keras"):
        paths["backbone"] = _absolute(config.backbone)
    if config.weights is not None and config.weights.endswith(".h5"):
        paths["weights"] = _absolute(config.weights)
    for name in {"backbone", "weights"} & paths.keys():
        if not Path(paths[name]).is_file():
            raise UserError(f"{flag(name)}: no such file: {paths[name]}")
    return dataclasses.replace(config, **paths)


def _absolute(path: str) -> str:
    return os.path.abspath(Path(path).expanduser())


def _description(recipe: Recipe) -> str:
    sections = {
        "tasks": [
            *TASKS.items(),
            *((name, f"{what} (planned)") for name, what in PLANNED_TASKS.items()),
        ],
        "datasets": [
            (each.name, f"{each.summary}. Wants {each.layout}") for each in DATASETS.values()
        ],
        "recipes": [(each.name, each.summary) for each in find_recipes().values()],
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
