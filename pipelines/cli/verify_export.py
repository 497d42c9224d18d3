"""`wordreel verify-export DIR`: check that an export keeps its promises."""

from __future__ import annotations

import argparse
from pathlib import Path

from pipelines.export.layout import find_version

SUMMARY = "replay an export's recorded requests without this project and without Keras"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "export", type=Path, metavar="DIR", help="an export, or the directory of a run with one"
    )


def run(given: argparse.Namespace) -> int:
    """Print what was checked; return 1 if anything is wrong, else 0."""
    from pipelines.export.bundle.verify import verify

    folder = find_version(given.export)
    results = verify(folder)
    for check, problem in results:
        print(f"{'✗' if problem else '✓'} {check}" + (f": {problem}" if problem else ""))
    wrong = sum(problem is not None for _, problem in results)
    print(f"{folder}: " + (f"{wrong} of {len(results)} checks failed" if wrong else "sound"))
    return 1 if wrong else 0
