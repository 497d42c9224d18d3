"""`wordreel verify-export EXPORT`: verify an export in isolation."""

from __future__ import annotations

import argparse
from pathlib import Path

from pipelines.cli.predict import EXPORT_HELP
from pipelines.export.layout import find_version

SUMMARY = "verify an export: repeat its recorded requests without Wordreel and Keras"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("export", type=Path, metavar="EXPORT", help=EXPORT_HELP)


def run(given: argparse.Namespace) -> int:
    """Print the result of each check; return 1 if one failed, else 0."""
    from pipelines.export.bundle.verify import verify

    folder = find_version(given.export)
    results = verify(folder)
    for check, problem in results:
        print(f"{'✗' if problem else '✓'} {check}" + (f": {problem}" if problem else ""))
    failed = sum(problem is not None for _, problem in results)
    print(f"{folder}: " + (f"{failed} of {len(results)} checks failed" if failed else "valid"))
    return 1 if failed else 0
