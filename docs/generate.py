"""A mkdocs hook: pages that are generated from the code and from files of the root folder.

A line `<!-- generate: NAME -->` in a page is replaced by what the function of that name returns.
"""

from __future__ import annotations

import argparse
import dataclasses
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from pipelines.cli.main import parser as wordreel_parser
from pipelines.cli.train import COMMON_OPTIONS
from pipelines.config.config import Config, flag
from pipelines.config.recipe import find_recipes
from pipelines.config.task import TASKS

ROOT = Path(__file__).resolve().parent.parent


def on_page_markdown(markdown: str, **_: object) -> str:
    """Return a page with its generated parts; mkdocs calls this for every page."""
    return re.sub(r"^<!-- generate: (\w+) -->$", lambda m: GENERATORS[m[1]](), markdown, flags=re.M)


def _root_file(name: str, docs: str) -> Callable[[], str]:
    """Return a function that returns a file of the root folder as a page.

    Args:
        name: the file.
        docs: the relative path from the page to the folder of the documentation.
    """

    def read() -> str:
        text = (ROOT / name).read_text(encoding="utf-8")
        text = text.replace("](docs/", f"]({docs}")
        text = re.sub(r"\[([^\]]+)\]\(LICENSE\)", r"\1", text)
        pages = r"\]\((CONTRIBUTING|CHANGELOG)\.md"
        return re.sub(pages, lambda m: f"]({docs}reference/{m[1].lower()}.md", text)

    return read


def _table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [titles, ["---"] * len(titles), *rows]
    return "\n".join(
        "| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines
    )


def datasets() -> str:
    """Return the datasets of every task, with the layout that each requires."""
    sections = []
    for task in TASKS.values():
        rows = [
            (f"`{each.name}`", _text(each.summary), _text(each.layout))
            for each in task.datasets.values()
        ]
        sections.append(f"## {task.name}\n\n{_table(('`--data`', 'content', 'requires'), rows)}")
    return "\n\n".join(sections)


def recipes() -> str:
    """Return the recipes of every task with their descriptions."""
    sections = []
    for task in TASKS.values():
        found = [each for each in find_recipes().values() if each.config.task == task.name]
        texts = [f"#### {each.name}\n\n```text\n{each.description.strip()}\n```" for each in found]
        sections.append("\n\n".join([f"### {task.name}", *texts]))
    return "\n\n".join(sections)


def train_options() -> str:
    """Return every option of `train.py` by group, with its default and its tasks."""
    groups: dict[str, list[tuple[str, str, str, str]]] = {}
    for field in dataclasses.fields(Config):
        if field.name == "task":
            continue
        tasks = [task.name for task in TASKS.values() if task.uses(field)]
        used_by = "all" if len(tasks) == len(TASKS) else ", ".join(tasks)
        text = field.metadata["help"]
        if isinstance(allowed := field.metadata["allowed"], tuple):
            text += ": " + ", ".join(f"`{each}`" for each in allowed)
        name = f"`{flag(field.name)}`"
        shown = f"**{name}**" if field.name in COMMON_OPTIONS else name
        default = "none" if field.default is None else str(field.default)
        row = shown, _text(text), f"`{default}`", used_by
        groups.setdefault(field.metadata["group"], []).append(row)
    titles = ("option", "meaning", "default", "tasks")
    return "\n\n".join(f"### {name}\n\n{_table(titles, rows)}" for name, rows in groups.items())


def commands() -> str:
    """Return the arguments and options of every `wordreel` command."""
    subparsers = next(
        each for each in wordreel_parser()._actions if isinstance(each, argparse._SubParsersAction)
    )
    sections = []
    for name, command in subparsers.choices.items():
        rows = [
            (", ".join(f"`{each}`" for each in _names(action)), _text(action.help or ""))
            for action in command._actions
            if action.help != argparse.SUPPRESS and action.dest != "help"
        ]
        parts = [f"### wordreel {name}", _sentence(command.description or "")]
        parts.append(_table(("argument", "meaning"), rows))
        if command.epilog:
            parts.append(f"```text\n{command.epilog.rstrip()}\n```")
        sections.append("\n\n".join(parts))
    return "\n\n".join(sections)


def _names(action: argparse.Action) -> Sequence[str]:
    """Return how an argument is written."""
    metavar = action.metavar if isinstance(action.metavar, str) else action.dest.upper()
    if not action.option_strings:
        return [metavar]
    value = "" if action.nargs == 0 else f" {metavar}"
    return [f"{each}{value}" for each in action.option_strings]


def _text(text: str) -> str:
    """Return a text of the command line as Markdown."""
    text = " ".join(text.split()).replace("%%", "%")
    return text.replace("<", "&lt;").replace("*", "\\*").replace("_", "\\_")


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + "."


GENERATORS: dict[str, Callable[[], str]] = {
    "changelog": _root_file("CHANGELOG.md", "../"),
    "commands": commands,
    "contributing": _root_file("CONTRIBUTING.md", "../"),
    "datasets": datasets,
    "readme": _root_file("README.md", ""),
    "recipes": recipes,
    "train_options": train_options,
}
