"""Errors meant for the person at the keyboard: what, the rule, what came, what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UserError(ValueError):
    """A mistake the user can mend; the command line prints its text and exits with 2."""


def unknown(kind: str, got: str, known: Iterable[str]) -> UserError:
    """Return the error for a name that does not exist, with the nearest names that do.

    >>> print(unknown("dataset", "flickr8", ["scenes", "flickr8k"]))
    unknown dataset 'flickr8': did you mean 'flickr8k'? Known: flickr8k, scenes.
    """
    names = sorted(known)
    near = difflib.get_close_matches(got, names, n=2)
    hint = f"did you mean {' or '.join(map(repr, near))}? " if near else ""
    return UserError(f"unknown {kind} {got!r}: {hint}Known: {', '.join(names)}.")
