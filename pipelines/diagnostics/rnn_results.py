"""What came of the classic tasks: kept line by line, then a table, a picture and words."""

from __future__ import annotations

import csv
import dataclasses
import json
import statistics
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from data.common.files import atomic_write
from pipelines.diagnostics.rnn_tasks import CLASSIC_TASKS, ClassicTask
from pipelines.diagnostics.rnn_training import Outcome, Trial

VERSION = 1  # of the trials: raised when the same trial would come out otherwise
Results = Mapping[Trial, Outcome]


def keep(path: Path, trial: Trial, outcome: Outcome) -> None:
    """Add a finished trial to a file; a killed run leaves at most half a line."""
    record = {"version": VERSION, **dataclasses.asdict(trial), **dataclasses.asdict(outcome)}
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(record) + "\n")


def kept(path: Path) -> dict[Trial, Outcome]:
    """Return what `keep` wrote; half a line, or one of another version, is passed over."""
    found = {}
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        try:
            record = json.loads(line)
        except json.JSONDecodeError:
            continue
        if record.pop("version", None) == VERSION:
            names = [field.name for field in dataclasses.fields(Trial)]
            trial = Trial(**{name: record.pop(name) for name in names})
            found[trial] = Outcome(**record)
    return found


def write_table(path: Path, results: Results) -> None:
    """Write a CSV with a row for each trial: its fields, then those of its outcome."""
    with atomic_write(path) as file:
        writer = csv.writer(file, lineterminator="\n")
        kinds: tuple[Any, ...] = (Trial, Outcome)
        writer.writerow([field.name for kind in kinds for field in dataclasses.fields(kind)])
        for trial, outcome in results.items():
            values = [*dataclasses.astuple(trial), *dataclasses.astuple(outcome)]
            writer.writerow([f"{x:.6g}" if isinstance(x, float) else x for x in values])


def outcomes(results: Results, task: str, cell: str, length: int) -> list[Outcome]:
    """Return what came of the seeds of one place in the table."""
    wanted = (task, cell, length)
    return [o for t, o in results.items() if (t.task, t.cell, t.length) == wanted]


def lines(results: Results) -> list[str]:
    """Return the table as text: the median score, and how many seeds solved the task."""
    found = []
    for name, task in _tasks(results):
        lengths, cells = _lengths(results, name), _cells(results, name)
        found += ["", f"{name}: {task.summary}", _meaning(task)]
        found.append("  T     " + "".join(f"{length:>16}" for length in lengths))
        for cell in cells:
            row = [_place(outcomes(results, name, cell, length)) for length in lengths]
            found.append(f"  {cell:6}" + "".join(f"{place:>16}" for place in row))
        found += [f"  {text}" for text in _verdicts(results, name, cells, lengths)]
        found += [f"  published, {what}: {values}" for what, values in task.published.items()]
    return found


def _meaning(task: ClassicTask) -> str:
    measure = "mean squared error" if task.measure == "error" else "accuracy"
    sign = "at most" if task.measure == "error" else "at least"
    return (
        f"  held-out {measure} (median), seeds that solved it ({sign} {task.solved:g}); "
        f"blind: {task.blind:.3g}"
    )


def _place(found: Sequence[Outcome]) -> str:
    if not found:
        return "–"
    score = statistics.median(outcome.score for outcome in found)
    return f"{score:.3g} ({sum(outcome.solved for outcome in found)}/{len(found)})"


def _verdicts(
    results: Results, task: str, cells: Sequence[str], lengths: Sequence[int]
) -> list[str]:
    """Say how far each cell comes, and where the RNN fails although another succeeds."""
    solved = {
        cell: [n for n in lengths if (o := outcomes(results, task, cell, n)) and all(_won(o))]
        for cell in cells
    }
    texts = [
        f"{cell} solves T = {', '.join(map(str, solved[cell]))}"
        if solved[cell]
        else f"{cell} solves none of them"
        for cell in cells
    ]
    said = ["with every seed: " + "; ".join(texts)]
    failed = [n for n in lengths if (o := outcomes(results, task, "rnn", n)) and not any(_won(o))]
    for cell in [cell for cell in cells if cell != "rnn"]:
        if both := [length for length in failed if length in solved[cell]]:
            said.append(
                f"the vanilla RNN fails with every seed where the {cell} succeeds with every "
                f"seed: T = {', '.join(map(str, both))}"
            )
    return said


def _won(found: Iterable[Outcome]) -> list[bool]:
    return [outcome.solved for outcome in found]


def draw(path: Path, results: Results) -> None:
    """Write a PNG with a row for each task: seeds that solved it, and the gradient, by length."""
    tasks = _tasks(results)
    figure = Figure(figsize=(10, 3.2 * len(tasks)), layout="constrained")
    panels = figure.subplots(len(tasks), 2, squeeze=False)
    for (name, task), (left, right) in zip(tasks, panels, strict=True):
        lengths = _lengths(results, name)
        for place, cell in enumerate(_cells(results, name)):
            at = [n for n in lengths if outcomes(results, name, cell, n)]
            found = [outcomes(results, name, cell, length) for length in at]
            shares = [statistics.mean(_won(o)) + 0.012 * (place - 1) for o in found]  # no overlap
            (line,) = left.plot(at, shares, marker="o", label=cell)
            for stage, style in (("before", "-"), ("after", "--")):
                values = [statistics.median(getattr(o, stage) for o in each) for each in found]
                shown = [value if value > 0 else float("nan") for value in values]
                right.plot(at, shown, style, marker=".", color=line.get_color())
        left.set(title=f"{name}\n{task.summary}", ylabel="share of seeds that solved it")
        left.set_ylim(-0.08, 1.08)
        left.legend(frameon=False, fontsize="small")
        right.set(
            title="gradient at the first step\ndashed: after training",
            ylabel="of 1 at the last step",
        )
        right.set_yscale("log")
        right.axhline(1, color="grey", linewidth=0.5)
        for axes in (left, right):
            axes.set_xscale("log")
            axes.set_xticks(lengths, [str(length) for length in lengths])
            axes.xaxis.set_minor_locator(NullLocator())
            axes.set_xlabel("T")
            axes.spines[["top", "right"]].set_visible(False)
    with atomic_write(path, "wb") as file:
        figure.savefig(file, format="png", dpi=120)


def _tasks(results: Results) -> list[tuple[str, ClassicTask]]:
    present = {trial.task for trial in results}
    return [(name, task) for name, task in CLASSIC_TASKS.items() if name in present]


def _lengths(results: Results, task: str) -> list[int]:
    return sorted({trial.length for trial in results if trial.task == task})


def _cells(results: Results, task: str) -> list[str]:
    return list(dict.fromkeys(trial.cell for trial in results if trial.task == task))
