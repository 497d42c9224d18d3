"""Errors for the user: what is wrong, the rule, the value found, how to fix it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UserError(ValueError):
    """A mistake the user can fix; the command line prints the message and exits with 2."""


def unknown(kind: str, got: str, known: Iterable[str]) -> UserError:
    """Return the error for an unknown name, with the most similar known names.

    >>> print(unknown("dataset", "flickr8", ["scenes", "flickr8k"]))
    unknown dataset 'flickr8': did you mean 'flickr8k'? Known: flickr8k, scenes.
    """
    names = sorted(known)
    near = difflib.get_close_matches(got, names, n=2)
    hint = f"did you mean {' or '.join(map(repr, near))}? " if near else ""
    return UserError(f"unknown {kind} {got!r}: {hint}Known: {', '.join(names)}.")
