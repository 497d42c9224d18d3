"""How a field of a dataclass is declared as an option of the command line."""

from __future__ import annotations

import dataclasses
from typing import Any

from pipelines.runtime.numbers import Constraint


def option(
    group: str,
    default: Any,
    help: str,
    allowed: tuple[str, ...] | Constraint | None = None,
    requires: str = "",
) -> Any:
    """Return a dataclass field that is also an option, with these arguments as its metadata.

    Args:
        group: the section of the help.
        default: the value if neither the recipe nor the command line gives one.
        help: one line for `--help`.
        allowed: the choices, or the constraint on a number; None, if the type has it, always meets
            it.
        requires: the inputs or outputs that a task must have: one of the names separated by spaces;
            "image+captions" means both. Empty: all tasks.
    """
    metadata = {"group": group, "help": help, "allowed": allowed, "requires": requires}
    return dataclasses.field(default=default, metadata=metadata)
