"""Progress bars: every bar of Wordreel is made here."""

from __future__ import annotations

import sys
from typing import Any, TextIO

from tqdm import tqdm

LOG_SECONDS, LOG_LINES = 10.0, 10  # between two lines of a log; lines of a bar
LOG_FORMAT = (
    "{percentage:3.0f}% {n_fmt}/{total_fmt}{unit} [{elapsed}<{remaining}, {rate_fmt}{postfix}]"
)


class _Lines:
    """A stream that writes each update of a bar as a line, without control characters."""

    def __init__(self, stream: TextIO) -> None:
        self.stream, self.encoding = stream, stream.encoding

    def write(self, text: str) -> None:
        if text := text.strip():
            self.stream.write(f"{text}\n")

    def flush(self) -> None:
        self.stream.flush()


def progress(
    total: int, description: str | None, unit: str = "images", **options: Any
) -> tqdm[Any]:
    """Return a progress bar on stderr with the throughput and the time left.

    On a terminal it updates continuously; in a file it adds at most about ten lines.

    Args:
        total: the number of items.
        description: text before the bar; None for no text.
        unit: name of the items, in the plural.
        options: further arguments of `tqdm`.
    """
    if not sys.stderr.isatty():
        name = "{desc}: " if description else ""
        options |= {"file": _Lines(sys.stderr), "bar_format": name + LOG_FORMAT}
        options |= {"mininterval": LOG_SECONDS, "maxinterval": float("inf")}
        options["miniters"] = -(-total // LOG_LINES)
    return tqdm(total=total, desc=description, unit=f" {unit}", delay=0.1, **options)
