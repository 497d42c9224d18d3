"""Progress bars: every bar of Wordreel is made here."""

from __future__ import annotations

import sys
from typing import Any

from tqdm import tqdm

SECONDS = {True: 0.1, False: 10.0}  # between two updates, on a terminal and in a log


def progress(total: int, what: str | None, unit: str = "pictures", **options: Any) -> tqdm[Any]:
    """Return a bar of things a second and time left, on stderr, shown when its work begins.

    On a terminal it moves all the time. In a file (`python train.py > log 2>&1`) each update is
    one more line for whoever reads it: there it says every ten seconds where it stands.

    Args:
        total: how many things there are.
        what: is said before the bar.
        unit: what is counted.
        options: further ones of `tqdm`.
    """
    return tqdm(
        total=total,
        desc=what,
        unit=f" {unit}",
        delay=0.1,
        mininterval=SECONDS[sys.stderr.isatty()],
        **options,
    )
