"""Results of the RNN tasks: one line of JSON per trial, a table, a plot and a summary."""

from __future__ import annotations

import csv
import dataclasses
import json
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from data.common.files import atomic_write
from pipelines.diagnostics.rnn_tasks import RNN_TASKS, RNNTask
from pipelines.diagnostics.rnn_training import Outcome, Trial

# Names of fields in files of earlier releases.
OLD_NAMES = {
    "rate": "learning_rate",
    "taken": "steps_taken",
    "before": "gradient_before",
    "after": "gradient_after",
}
VERSION = 1  # increased when the same trial would have another result
Results = Mapping[Trial, Outcome]
Outcomes = dict[str, dict[int, list[Outcome]]]  # of all seeds, by cell and length


def append_result(path: Path, trial: Trial, outcome: Outcome) -> None:
    """Append a finished trial to a file; a killed run leaves at most an incomplete line."""
    record = {"version": VERSION, **dataclasses.asdict(trial), **dataclasses.asdict(outcome)}
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(record) + "\n")


def read_results(path: Path) -> dict[Trial, Outcome]:
    """Read the file of `append_result`, skipping incomplete lines and other versions."""
    found = {}
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        try:
            record = json.loads(line)
        except json.JSONDecodeError:
            continue
        if record.pop("version", None) == VERSION:
            record = {OLD_NAMES.get(name, name): value for name, value in record.items()}
            names = [field.name for field in dataclasses.fields(Trial)]
            trial = Trial(**{name: record.pop(name) for name in names})
            found[trial] = Outcome(**record)
    return found


def write_table(path: Path, results: Results) -> None:
    """Write a CSV file with a row for each trial: its fields, then those of its outcome."""
    with atomic_write(path) as file:
        writer = csv.writer(file, lineterminator="\n")
        kinds: tuple[Any, ...] = (Trial, Outcome)
        writer.writerow([field.name for kind in kinds for field in dataclasses.fields(kind)])
        for trial, outcome in results.items():
            values = [*dataclasses.astuple(trial), *dataclasses.astuple(outcome)]
            writer.writerow([f"{x:.6g}" if isinstance(x, float) else x for x in values])


def format_results(results: Results) -> list[str]:
    """Return lines of text: median scores, seeds that solved each task, published results."""
    found = []
    for name, cells in _by_task(results).items():
        task, lengths = RNN_TASKS[name], _lengths(cells)
        found += ["", f"{name}: {task.summary}", _table_title(task)]
        found.append("  T     " + "".join(f"{length:>16}" for length in lengths))
        for cell, outcomes in cells.items():
            row = [_table_cell(outcomes.get(length, [])) for length in lengths]
            found.append(f"  {cell:6}" + "".join(f"{place:>16}" for place in row))
        found += [f"  {text}" for text in _comparisons(cells)]
        found.append(f"  published, {task.published}")
    return found


def _table_title(task: RNNTask) -> str:
    metric = "mean squared error" if task.metric == "error" else "accuracy"
    sign = "at most" if task.metric == "error" else "at least"
    return (
        f"  median {metric} on held-out examples, seeds that solve it ({sign} {task.solved:g}); "
        f"constant prediction: {task.constant_score:.3g}"
    )


def _table_cell(found: Sequence[Outcome]) -> str:
    if not found:
        return "–"
    score = statistics.median(outcome.score for outcome in found)
    return f"{score:.3g} ({sum(outcome.solved for outcome in found)}/{len(found)})"


def _comparisons(cells: Outcomes) -> list[str]:
    """Describe the lengths that each cell solves, and those at which only the RNN fails."""
    solved = {
        cell: [length for length, found in outcomes.items() if all(each.solved for each in found)]
        for cell, outcomes in cells.items()
    }
    texts = [
        f"{cell} solves T = {', '.join(map(str, lengths))}"
        if lengths
        else f"{cell} solves no length"
        for cell, lengths in solved.items()
    ]
    lines = ["with every seed: " + "; ".join(texts)]
    solved.pop("rnn", None)
    failed = [
        length
        for length, found in cells.get("rnn", {}).items()
        if not any(each.solved for each in found)
    ]
    for cell, lengths in solved.items():
        if both := [length for length in failed if length in lengths]:
            lines.append(
                f"the vanilla RNN fails and the {cell} succeeds with every seed: "
                f"T = {', '.join(map(str, both))}"
            )
    return lines


def plot_results(path: Path, results: Results) -> None:
    """Write a PNG with a row for each task: solved seeds and the gradient, by length."""
    tasks = _by_task(results)
    figure = Figure(figsize=(10, 3.2 * len(tasks)), layout="constrained")
    panels = figure.subplots(len(tasks), 2, squeeze=False)
    for (name, cells), (left, right) in zip(tasks.items(), panels, strict=True):
        lengths = _lengths(cells)
        for place, (cell, outcomes) in enumerate(cells.items()):
            shares = [
                statistics.mean(each.solved for each in found) + 0.012 * (place - 1)  # no overlap
                for found in outcomes.values()
            ]
            (line,) = left.plot([*outcomes], shares, marker="o", label=cell)
            for field, style in (("gradient_before", "-"), ("gradient_after", "--")):
                values = [
                    statistics.median(getattr(each, field) for each in found)
                    for found in outcomes.values()
                ]
                plotted = [value if value > 0 else float("nan") for value in values]
                right.plot([*outcomes], plotted, style, marker=".", color=line.get_color())
        title = f"{name}\n{RNN_TASKS[name].summary}"
        left.set(title=title, ylabel="fraction of seeds that solve the task")
        left.set_ylim(-0.08, 1.08)
        left.legend(frameon=False, fontsize="small")
        right.set(
            title="gradient norm at the first step\nsolid: before training, dashed: after",
            ylabel="relative to the last step",
        )
        right.set_yscale("log")
        right.axhline(1, color="gray", linewidth=0.5)
        for axes in (left, right):
            axes.set_xscale("log")
            axes.set_xticks(lengths, [str(length) for length in lengths])
            axes.xaxis.set_minor_locator(NullLocator())
            axes.set_xlabel("T")
            axes.spines[["top", "right"]].set_visible(False)
    with atomic_write(path, "wb") as file:
        figure.savefig(file, format="png", dpi=120)


def _by_task(results: Results) -> dict[str, Outcomes]:
    """Return the outcomes by task, cell and length, in the order of `RNN_TASKS` and the lengths."""
    found: dict[str, Outcomes] = {name: {} for name in RNN_TASKS}
    for trial in sorted(results, key=lambda trial: trial.length):
        by_length = found[trial.task].setdefault(trial.cell, {})
        by_length.setdefault(trial.length, []).append(results[trial])
    return {name: cells for name, cells in found.items() if cells}


def _lengths(cells: Outcomes) -> list[int]:
    return sorted({length for outcomes in cells.values() for length in outcomes})
