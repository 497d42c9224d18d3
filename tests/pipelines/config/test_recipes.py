from __future__ import annotations

import dataclasses
import re
from pathlib import Path

from pipelines.cli.train import parse
from pipelines.config.recipe import find_recipes


def test_recipes_name_their_paper_command_time_and_score() -> None:
    for name, recipe in find_recipes().items():
        for part in ("Paper:", "Command:", "Time:", "Expected:"):
            assert part in recipe.description, (name, part)
        assert recipe.summary


def test_the_command_of_a_recipe_selects_it(tmp_path: Path) -> None:
    (tmp_path / "captions.csv").write_text("image,caption\n")
    for recipe in find_recipes().values():
        command = re.search(r"^Command: +python train\.py ?(.*)$", recipe.description, re.MULTILINE)
        assert command
        words = [str(tmp_path) if word == "DIR" else word for word in command[1].split()]
        assert dataclasses.replace(parse(words)[0], source=None) == recipe.config
