"""`wordreel runs`: list the runs in a folder; remove what they no longer need."""

from __future__ import annotations

import argparse
import datetime
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from data.common.errors import UserError
from data.common.files import total_size
from pipelines.config.stored_runs import Run, find_runs, surplus_files
from pipelines.runtime.console import size_text, table

SUMMARY = "list runs with their state, score and size; remove files that are no longer needed"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    text = "a run directory, or a folder with runs in it or its subfolders (default: runs)"
    parser.add_argument(
        "folder", nargs="?", type=Path, default=Path("runs"), metavar="DIR", help=text
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object per run")
    text = (
        "list the files that neither serving nor continuing needs: older checkpoints and, of "
        "complete runs, the state of self-critical training, TensorBoard logs, unfinished exports"
    )
    parser.add_argument("--prune", action="store_true", help=text)
    parser.add_argument("--yes", action="store_true", help="with --prune: remove them")


def run(given: argparse.Namespace) -> int:
    """Print the runs, or remove files; return 0."""
    if given.yes and not given.prune:
        raise UserError("--yes requires --prune")
    if not given.folder.is_dir():
        raise UserError(f"no such folder: {given.folder}")
    runs = list(find_runs(given.folder))
    if not runs:
        print(f"no run in {given.folder}", file=sys.stderr)
    elif given.prune:
        _prune(runs, given)
    elif given.json:
        for each in runs:
            print(json.dumps(_record(each), ensure_ascii=False))
    else:
        columns = ("run", "task", "data", "state", "score", "size", "changed")
        print(table([columns, *map(_row, runs)]))
    return 0


def _record(run: Run) -> dict[str, Any]:
    """Return a run as JSON."""
    best = run.best
    return {
        "run": str(run.folder),
        "task": run.config.get("task"),
        "data": run.config.get("data"),
        "source": run.config.get("source"),
        "state": run.state,
        "complete": run.splits is not None,
        "running": run.running,
        "epochs": len(run.history),
        "score": best and best._asdict(),
        "bytes": total_size(run.folder),
        "changed": _changed(run).isoformat(),
    }


def _row(run: Run) -> list[str]:
    """Return the columns of a run."""
    values = (str(run.config.get(name, "–")) for name in ("task", "data"))
    size, changed = size_text(total_size(run.folder)), f"{_changed(run):%Y-%m-%d %H:%M}"
    return [str(run.folder), *values, run.state, str(run.best or "–"), size, changed]


def _changed(run: Run) -> datetime.datetime:
    """Return when a file of a run's directory was last written."""
    latest = max(path.stat().st_mtime for path in run.folder.iterdir() if path.name != ".lock")
    return datetime.datetime.fromtimestamp(round(latest)).astimezone()


def _prune(runs: Sequence[Run], given: argparse.Namespace) -> None:
    """List the surplus files of each run; remove them with `--yes`."""
    total = 0
    for each in runs:
        files = [] if each.running else surplus_files(each)
        size = sum(map(total_size, files))
        total += size
        if each.running:
            print(f"{each.folder}: left as it is, a process trains it", file=sys.stderr)
        record = {"run": str(each.folder), "files": [str(path) for path in files], "bytes": size}
        if given.json:
            print(json.dumps({**record, "removed": given.yes}, ensure_ascii=False))
        elif files:
            names = sorted({str(path.relative_to(each.folder)) for path in files})
            print(f"{each.folder}: {size_text(size)}", *names, sep="\n  ")
        if given.yes:
            for path in files:
                path.unlink()
    if not given.json:
        hint = "" if given.yes or not total else "; add --yes to remove them"
        print(f"{size_text(total)} {'removed' if given.yes else 'can be removed'}{hint}")
