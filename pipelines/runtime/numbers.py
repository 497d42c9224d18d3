"""Numbers on the command line: their constraints, and the options that take them."""

from __future__ import annotations

import argparse
import dataclasses
import math
from collections.abc import Callable
from typing import Any


@dataclasses.dataclass(frozen=True)
class Constraint:
    """A constraint on a number: its description and its test."""

    description: str
    is_met: Callable[[Any], bool]


POSITIVE = Constraint("at least 1", lambda x: x >= 1)
NON_NEGATIVE = Constraint("0 or more", lambda x: x >= 0)
ABOVE_ZERO = Constraint("above 0", lambda x: x > 0)
BELOW_ONE = Constraint("at least 0 and below 1", lambda x: 0 <= x < 1)
ZERO_TO_ONE = Constraint("between 0 and 1", lambda x: 0 <= x <= 1)
SEED = Constraint("0 to 2147483647", lambda x: 0 <= x < 2**31)


def number(
    kind: type, constraint: Constraint | None = None, optional: bool = False
) -> Callable[[str], Any]:
    """Return a converter of finite numbers for `add_argument(type=…)`.

    Args:
        kind: int or float.
        constraint: on the number.
        optional: whether `none` is accepted.

    >>> number(int, POSITIVE)("0")
    Traceback (most recent call last):
    ...
    argparse.ArgumentTypeError: must be at least 1, not 0
    """
    rule = "a whole number" if kind is int else "a number"

    def convert(text: str) -> Any:
        if optional and text == "none":
            return None
        try:
            value = kind(text)
            finite = math.isfinite(value)
        except (ValueError, OverflowError):  # the latter: a whole number beyond all floats
            finite = False
        if not finite:
            raise argparse.ArgumentTypeError(
                f"takes {rule}{' or none' if optional else ''}, not {text!r}"
            )
        if constraint is not None and not constraint.is_met(value):
            raise argparse.ArgumentTypeError(f"must be {constraint.description}, not {text}")
        return value

    return convert


def add_number(
    parser: argparse.ArgumentParser,
    flag: str,
    kind: type,
    constraint: Constraint | None,
    help: str,
    default: float | None = None,
) -> None:
    """Declare an option that takes an int ("N" in the help) or a float ("X").

    Args:
        parser: of the command.
        flag: such as "--steps".
        kind: int or float.
        constraint: on the number.
        help: what the number is; the default is added unless it is None.
        default: the value without the option.
    """
    if default is not None:
        help += f" (default: {default if kind is int else format(default, 'g')})"
    letter = "N" if kind is int else "X"
    parser.add_argument(
        flag, type=number(kind, constraint), default=default, metavar=letter, help=help
    )
