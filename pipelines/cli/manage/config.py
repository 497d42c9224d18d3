"""`wordreel config`: the options of a run, resolved, as a file for `--config`."""

from __future__ import annotations

from collections.abc import Sequence

from pipelines.cli.train import parse
from pipelines.config.config_file import to_toml

SUMMARY = "print the options of a run as TOML, with the recipe's defaults filled in"


def main(arguments: Sequence[str]) -> int:
    """Print the configuration that `train.py` would use; return 0."""
    request = parse(arguments, "wordreel config")
    defaults = vars(request.recipe.config)
    changed = {name for name, value in vars(request.config).items() if value != defaults[name]}
    origins = {name: origin for name, origin in request.origins.items() if name in changed}
    print(f"# Values without a comment are those of the recipe {request.recipe.name}.")
    print(to_toml(request.config, origins), end="")
    return 0
