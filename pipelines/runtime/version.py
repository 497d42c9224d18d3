"""The versions of Wordreel and of what it runs on."""

from __future__ import annotations

import argparse
import importlib.metadata
import platform
import subprocess
from pathlib import Path
from typing import Any, NoReturn

ROOT = Path(__file__).parents[2]


def own_version(default: str) -> str:
    """Return the version of Wordreel; `default` in a checkout that is not installed."""
    return _version("wordreel", default)


def versions() -> dict[str, str]:
    """Return the versions of Wordreel, with the commit of a checkout, and what it runs on."""
    own, commit = own_version("not installed"), _commit()
    return {
        "Wordreel": f"{own} ({commit})" if commit else own,
        "Python": platform.python_version(),
        "TensorFlow": _version("tensorflow", "not installed"),
        "Keras": _version("keras", "not installed"),
    }


class ShowVersions(argparse.Action):
    """`--version`: looks the versions up only when it is given."""

    def __init__(self, option_strings: list[str], dest: str, **_: Any) -> None:
        text = "show the versions of Wordreel, Python, TensorFlow and Keras, and exit"
        super().__init__(option_strings, argparse.SUPPRESS, nargs=0, help=text)

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        """Print the versions and exit."""
        print(", ".join(f"{name} {version}" for name, version in versions().items()))
        parser.exit()


def _version(package: str, default: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return default


def _commit() -> str:
    """Return the commit of a checkout, with "-dirty" after changes; "" elsewhere."""
    if not (ROOT / ".git").exists():
        return ""
    command = ["git", "-C", str(ROOT), "describe", "--always", "--dirty", "--exclude=*"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""
