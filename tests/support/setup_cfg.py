"""What setup.cfg declares."""

from __future__ import annotations

import configparser

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.support.paths import ROOT


def setup(section: str, key: str) -> str:
    """Return a value of setup.cfg, without its comments."""
    parser = configparser.RawConfigParser()
    parser.read(ROOT / "setup.cfg", encoding="utf-8")
    return parser[section][key]


def requirements(key: str) -> dict[str, Requirement]:
    """Return the requirements in `install_requires`, or in the extra of that name."""
    section = "options" if key == "install_requires" else "options.extras_require"
    parsed = [Requirement(line) for line in setup(section, key).split("\n") if line]
    return {canonicalize_name(each.name): each for each in parsed if each.name != "wordreel"}
