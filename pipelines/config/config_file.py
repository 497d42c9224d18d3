"""Options in a file: TOML, or the config.json of a run."""

from __future__ import annotations

import dataclasses
import difflib
import json
import re
import tomllib
import typing
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from data.common.errors import UserError
from pipelines.config.config import Config, check_value, flag
from pipelines.config.renamed import current_fields, refuse_renamed_options
from pipelines.config.task import TASKS

KINDS: Mapping[type, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a text in quotes",
}


def read_options(path: Path, task: str | None = None) -> dict[str, Any]:
    """Return the options in a file by name, such as "batch_size".

    Args:
        path: a TOML file, a config.json, or the directory of a run.
        task: on the command line; None: the one in the file.

    Raises:
        UserError: for an unknown option or an invalid value, with its line.
    """
    path = path / "config.json" if path.is_dir() else path
    text, is_json = _read(path), path.suffix == ".json"
    try:
        content = json.loads(text) if is_json else tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise UserError(
            f"--config {path} is not {'JSON' if is_json else 'TOML'}: {error}"
        ) from None
    if not isinstance(content, dict):
        raise UserError(f"--config {path} is not a JSON object")
    content = current_fields(content) if is_json else content
    task = task or content.get("task")
    fields = {field.name: field for field in dataclasses.fields(Config)}
    types = typing.get_type_hints(Config) | dict.fromkeys(("callback", "recipe", "run_dir"), str)
    options = {}
    for key, value in content.items():
        name = key.replace("-", "_")
        field = fields.get(name)
        if is_json and field and task in TASKS and not TASKS[task].uses(field):
            continue  # a run has the options of all tasks
        try:
            if name not in types:
                raise _unknown(name, types)
            options[name] = _of_type(types[name], value, key)
            if field:
                if task in TASKS and not TASKS[task].uses(field):
                    raise UserError(f"{key} is not an option of {task}")
                check_value(field, options[name], key)
        except UserError as error:
            raise UserError(f"{path}{_line(text, key)}: {error}") from None
    return options


def as_arguments(options: Mapping[str, Any]) -> Iterator[str]:
    """Yield options as on the command line.

    >>> list(as_arguments({"task": "translation", "flips": False, "source": None, "units": 8}))
    ['translation', '--no-flips', '--source=none', '--units=8']
    """
    for name, value in options.items():
        if name == "task":
            yield value
        elif isinstance(value, bool):
            yield flag(name if value else f"no_{name}")
        else:
            yield f"{flag(name)}={'none' if value is None else value}"


def to_toml(config: Config, origins: Mapping[str, str]) -> str:
    """Return the options of a configuration's task as TOML that `read_options` reads.

    Args:
        config: the configuration.
        origins: where values come from, by field, for the comments.
    """
    lines, group = [f"task = {json.dumps(config.task)}"], ""
    for field in dataclasses.fields(config):
        if field.name == "task" or not TASKS[config.task].uses(field):
            continue
        if field.metadata["group"] != group:
            group = field.metadata["group"]
            lines += ["", f"# {group}"]
        value = getattr(config, field.name)
        # JSON's texts, numbers and booleans are TOML's too.
        text = json.dumps("none" if value is None else value, ensure_ascii=False)
        comment = f"  # {origins[field.name]}" if field.name in origins else ""
        lines.append(f"{field.name} = {text}{comment}")
    return "\n".join(lines) + "\n"


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = (error.strerror or "").lower() if isinstance(error, OSError) else "it is not UTF-8"
        raise UserError(f"--config {path}: {reason}") from None


def _line(text: str, key: str) -> str:
    """Return ", line N" for the line that begins with a key; "" if none does."""
    pattern = re.compile(rf"""\s*\[?["']?{re.escape(key)}["']?\s*[]=:.]""")
    lines = enumerate(text.splitlines(), 1)
    return next((f", line {number}" for number, line in lines if pattern.match(line)), "")


def _unknown(name: str, known: Mapping[str, Any]) -> UserError:
    refuse_renamed_options([flag(name)])
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]}?" if near else "see train.py --help-all"
    return UserError(f"unknown option {name}: {hint}")


def _of_type(annotation: Any, value: Any, key: str) -> Any:
    """Return a value of a field's type; the text "none" is None where the option may be none."""
    options = typing.get_args(annotation) or (annotation,)
    optional = type(None) in options
    if optional and value in (None, "none"):
        return None
    kind = next(each for each in KINDS if each in options)
    if kind is float and type(value) is int:
        return float(value)
    if type(value) is kind:
        return value
    text = f"{KINDS[kind]}{' or none' if optional else ''}"
    raise UserError(f"{key} takes {text}, not {json.dumps(value, default=str)}")
