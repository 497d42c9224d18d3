"""Progress bars: every bar of Wordreel is made here."""

from __future__ import annotations

import sys
from typing import Any

from tqdm import tqdm

SECONDS = {True: 0.1, False: 10.0}  # between two updates: on a terminal, in a log


def progress(
    total: int, description: str | None, unit: str = "images", **options: Any
) -> tqdm[Any]:
    """Return a progress bar on stderr with the throughput and the time left.

    On a terminal it updates continuously; in a file each update adds a line, every ten seconds.

    Args:
        total: the number of items.
        description: text before the bar; None for no text.
        unit: name of the items, in the plural.
        options: further arguments of `tqdm`.
    """
    return tqdm(
        total=total,
        desc=description,
        unit=f" {unit}",
        delay=0.1,
        mininterval=SECONDS[sys.stderr.isatty()],
        **options,
    )
