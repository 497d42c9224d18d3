"""`wordreel compare`: options and scores of several runs, side by side."""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from data.common.errors import UserError
from data.common.files import atomic_write
from pipelines.config.config import Config, flag
from pipelines.config.stored_runs import Run, read_run
from pipelines.config.task import TASKS
from pipelines.runtime.console import table

SUMMARY = "compare runs: the options that differ, and the scores with their intervals"
Rows = list[list[str]]  # of a table, the header first


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="run directories")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    text = "also write an HTML page"
    parser.add_argument("--html", type=Path, metavar="FILE", help=text)


def run(given: argparse.Namespace) -> int:
    """Print the comparison; return 0."""
    runs = [read_run(folder) for folder in given.runs]
    if len({each.folder.resolve() for each in runs}) < max(2, len(runs)):
        raise UserError("compare takes two or more different runs")
    names, warnings = _names(runs), list(_warnings(runs))
    options, scores = _options(runs, names), _scores(runs, names)
    if given.json:
        record = {"runs": dict(zip(names, map(_record, runs), strict=True)), "warnings": warnings}
        print(json.dumps(record, ensure_ascii=False, indent=2))
    else:
        for rows in (options, scores):
            print(table(rows), end="\n\n")
        print(*warnings, sep="\n", end="\n" if warnings else "")
    if given.html is not None:
        from pipelines.reports.templates import template_of

        page = template_of("compare.html").render(options=options, scores=scores, notes=warnings)
        with atomic_write(given.html) as file:
            file.write(page)
    return 0


def _names(runs: Sequence[Run]) -> list[str]:
    """Return the shortest different names of the runs."""
    short = [each.folder.resolve().name for each in runs]
    return short if len(set(short)) == len(short) else [str(each.folder) for each in runs]


def _record(run: Run) -> dict[str, Any]:
    """Return what is compared of a run, as JSON."""
    return {
        "folder": str(run.folder),
        "state": run.state,
        "options": dict(run.config),
        "splits": run.splits or {},
    }


def _options(runs: Sequence[Run], names: Sequence[str]) -> Rows:
    """Return the options whose values differ."""
    rows = [["option", *names]]
    for field in dataclasses.fields(Config):
        values = [_value(each, field) for each in runs]
        if len(set(values)) > 1:
            rows.append([flag(field.name), *values])
    return rows if len(rows) > 1 else [["option", *names], ["all equal", *["" for _ in names]]]


def _value(run: Run, field: dataclasses.Field[Any]) -> str:
    """Return an option of a run; a dash if its task does not have it."""
    task = TASKS.get(run.config.get("task", ""))
    # Older versions had fewer options.
    value = run.config.get(field.name, field.default if run.config else None)
    if value is None or (task is not None and not task.uses(field)):
        return "–"
    return value if isinstance(value, str) else json.dumps(value)


def _scores(runs: Sequence[Run], names: Sequence[str]) -> Rows:
    """Return the state of each run, and its scores by split."""
    rows = [["score", *names], ["state", *(each.state for each in runs)]]
    for split in dict.fromkeys(split for each in runs for split in each.splits or ()):
        found = [(each.splits or {}).get(split, {}) for each in runs]
        numbers = {n: None for each in found for n, v in each.items() if isinstance(v, int | float)}
        for name in numbers:
            cells = [_cell(each, name) for each in found]
            rows.append([f"{split}: {name.replace('_', ' ')}", *cells])
    return rows


def _cell(found: Mapping[str, Any], name: str) -> str:
    """Return a score with its interval; a dash if the run does not have it."""
    if name not in found:
        return "–"
    if name == "examples":
        return f"{found[name]:,}"
    ends = found.get("intervals", {}).get(name)
    return f"{found[name]:.1f}" + (" [{:.1f}, {:.1f}]".format(*ends) if ends else "")


def _warnings(runs: Sequence[Run]) -> Iterator[str]:
    """Yield why scores cannot be compared."""
    for each in runs:
        if each.splits is None:
            yield f"{each.folder} is not complete ({each.state}): it has no scores"
    for option, what in (("task", "tasks"), ("data", "datasets")):
        values = {str(each.config.get(option, "unknown")) for each in runs}
        if len(values) > 1:
            names = ", ".join(sorted(values))
            yield f"the runs have different {what} ({names}): their scores cannot be compared"
            return
    if len({each.pins.get("the dataset") for each in runs if each.pins}) > 1:
        yield "the content of the dataset has changed between the runs"
    for split in dict.fromkeys(split for each in runs for split in each.splits or ()):
        found = [each for each in runs if each.splits is not None]
        if missing := [str(each.folder) for each in found if split not in (each.splits or {})]:
            yield f"{split} was not scored in {', '.join(missing)}"
        signatures = {_signature(each, split) for each in found} - {""}
        if len(signatures) > 1:
            yield f"{split}: different signatures: {' and '.join(sorted(signatures))}"


def _signature(run: Run, split: str) -> str:
    """Return what must be equal for scores to be comparable: all but the version."""
    signature = str((run.splits or {}).get(split, {}).get("signature", ""))
    return "|".join(part for part in signature.split("|") if not part.startswith("version:"))
