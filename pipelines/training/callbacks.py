"""Keras callbacks that the user names by import path: `--callback module:Name`."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence

import keras

from data.common.errors import UserError


def load_callbacks(paths: Sequence[str]) -> list[keras.callbacks.Callback]:
    """Return the callbacks at some import paths.

    A path names a class, or a function that returns the callback; both are called without
    arguments. Modules in the current folder are found too.

    Raises:
        UserError: for a path that does not lead to a callback.
    """
    return [_load(path) for path in paths]


def _load(path: str) -> keras.callbacks.Callback:
    module, _, name = path.partition(":")
    if not module or not name:
        raise UserError(f"--callback {path}: give a module and a name, as in my_module:MyCallback")
    if (folder := os.getcwd()) not in sys.path:
        sys.path.append(folder)
    try:
        callback = getattr(importlib.import_module(module), name)()
    except Exception as error:  # of the user's code, which may raise any
        reason = f"{type(error).__name__}: {error}".partition("\n")[0]
        fix = ""
        if isinstance(error, TypeError):
            fix = ". If it needs arguments, name a function of your own that returns it"
        raise UserError(f"--callback {path}: {reason}{fix}") from error
    if not isinstance(callback, keras.callbacks.Callback):
        raise UserError(
            f"--callback {path}: it returns a {type(callback).__name__}, not a keras.callbacks."
            "Callback"
        )
    return callback
