"""The folder of prepared datasets, and what is printed about one."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from data.annotations.entries import Problem
from data.annotations.problems import summary
from data.common.errors import UserError
from data.storage.prepared import Stored


def data_home(data_dir: Path | str | None = None) -> Path:
    """Return the folder of prepared data: the given one, WORDREEL_DATA_DIR's, or the cache's."""
    if data_dir is None:
        data_dir = os.environ.get("WORDREEL_DATA_DIR") or None
    if data_dir is None:
        cache = "~/Library/Caches" if sys.platform == "darwin" else "~/.cache"
        data_dir = Path(os.environ.get("XDG_CACHE_HOME") or cache) / "wordreel"
    return Path(data_dir).expanduser().absolute()


@contextlib.contextmanager
def writing_to(home: Path) -> Iterator[None]:
    """Say of a failed write where the dataset was to go, and what to do."""
    try:
        yield
    except OSError as error:
        raise UserError(
            f"cannot write the prepared dataset in {home}: {error.strerror or error}. Make room, "
            "or name another folder with the environment variable WORDREEL_DATA_DIR"
        ) from error


def tell(
    prepared: Stored, problems: Sequence[Problem], *, again: bool, kind: str = "pictures"
) -> None:
    """Say on the screen how much there is of a dataset, and what is wrong with it."""
    counts = ", ".join(f"{split} {count:,}" for split, count in prepared.splits.items())
    say(f"{prepared.name}: {counts} {kind}{' (prepared before)' * again}")
    if problems:
        say(f"{prepared.name}: {summary(problems)}; each is named in {prepared.problems}")


def say(line: str) -> None:
    """Print a line where it does not mix with results."""
    print(line, file=sys.stderr, flush=True)
