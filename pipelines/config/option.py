"""How a field of `Config` is declared as an option of the command line."""

from __future__ import annotations

import dataclasses
from typing import Any

from pipelines.runtime.numbers import Constraint


def option(
    group: str,
    default: Any,
    help: str,
    choices: tuple[str, ...] | None = None,
    *,
    constraint: Constraint | None = None,
    requires: str = "",
) -> Any:
    """Declare a field of `Config` that is also an option of `train.py`.

    Args:
        group: the section of the help that lists the option.
        default: the value if neither the recipe nor the command line gives one.
        help: one line for `--help`.
        choices: the allowed values, if they can be listed.
        constraint: the constraint on a number; None, where allowed, always meets it.
        requires: the inputs or outputs that a task must have for the option to apply: one of the
            names separated by spaces; "image+captions" means both. Empty: all tasks.

    Returns:
        A dataclass field with these arguments as its metadata.
    """
    metadata = {
        "group": group,
        "help": help,
        "choices": choices,
        "constraint": constraint,
        "requires": requires,
    }
    return dataclasses.field(default=default, metadata=metadata)
