"""The directory of a run: opened before anything heavy is imported, so that mistakes are quick."""

from __future__ import annotations

import json
import re
from pathlib import Path

from data.errors import UserError
from data.files import atomic_write
from pipelines import cluster
from pipelines.config import Config, flag


def open_run(config: Config, run_dir: Path | None) -> Path:
    """Make a run's directory, or check that it holds a run of the same configuration.

    Of a cluster's workers, only the chief makes it.

    Raises:
        UserError: naming the options that differ, or why the directory cannot be written.
    """
    data = re.sub(r"[^\w.-]+", "-", config.data)
    folder = run_dir or Path("runs") / f"{config.task}-{data}-{config.hash}"
    path = folder / "config.json"
    try:
        if not path.exists():
            if not cluster.read().chief:
                return folder
            with atomic_write(path) as file:
                file.write(config.to_json())
    except OSError as error:
        raise UserError(f"cannot write to the run directory {folder}: {error.strerror}") from None
    before, now = json.loads(path.read_text(encoding="utf-8")), json.loads(config.to_json())
    differences = [
        f"{flag(name)} was {before[name]}, now {now[name]}"
        for name in now
        if name in before and before[name] != now[name]  # an older version had fewer options
    ]
    if differences:
        raise UserError(
            f"{folder} holds a run with other options ({'; '.join(differences)}). "
            "Repeat them to go on with it, or choose another --run-dir."
        )
    return folder
