"""Recipes: the presets in `pipelines.config.recipes`, by name."""

from __future__ import annotations

import importlib
import pkgutil
from typing import NamedTuple

from pipelines.config import recipes as recipe_modules
from pipelines.config.config import Config
from pipelines.config.task import Task


class Recipe(NamedTuple):
    """A preset: the configuration in a module, named with hyphens; its docstring describes it."""

    name: str
    config: Config
    description: str

    @property
    def summary(self) -> str:
        """First line of the description."""
        return self.description.partition("\n")[0]


def find_recipes() -> dict[str, Recipe]:
    """Return the recipes, the modules below `pipelines.config.recipes`, by name."""
    found = {}
    for module in pkgutil.walk_packages(recipe_modules.__path__, f"{recipe_modules.__name__}."):
        if not module.ispkg:
            content = importlib.import_module(module.name)
            name = module.name.rpartition(".")[2].replace("_", "-")
            found[name] = Recipe(name, content.CONFIG, content.__doc__ or "")
    return found


def recipe_of(task: Task, data: str) -> Recipe:
    """Return the recipe of a dataset, else the default of the task."""
    known, wanted = find_recipes(), (task.name, data)
    fitting = (each for each in known.values() if (each.config.task, each.config.data) == wanted)
    return next(fitting, known[task.recipe])
