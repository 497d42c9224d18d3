"""The report of a run: command, scores, training curves, options, examples.

The page is one file (images as base64, curves as SVG) that loads nothing.
"""

from __future__ import annotations

import dataclasses
import io
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from data.common.files import atomic_write
from pipelines.config import small_data
from pipelines.config.config import Config, flag
from pipelines.config.monitor import LOSS, rank
from pipelines.config.task import TASKS
from pipelines.reports.templates import template_of


@dataclasses.dataclass(frozen=True)
class SplitReport:
    """The part of the report about a split that was scored at the end."""

    name: str
    scores: Mapping[str, float]
    signature: str  # what must be equal for scores to be comparable
    hint: str  # what the scores mean
    examples: int  # that were scored
    intervals: Mapping[str, tuple[float, float]]  # 95 % confidence intervals, by score
    remarks: Sequence[str] = ()  # sentences below the scores
    # The file in `pipelines/reports/templates` with a macro `details(split)`; empty: scores only.
    template: str = ""
    details: Mapping[str, Any] = dataclasses.field(default_factory=dict)  # what the macro reads


def write_report(
    path: Path | str,
    config: Config,
    splits: Sequence[SplitReport],
    curves: Sequence[str],
    monitor: str,
    *,
    history: Sequence[Mapping[str, float]],
    notes: Sequence[str],
    command: str,
    export: Path | None,
    facts: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Write the report of a run.

    Args:
        path: of the file.
        config: of the run.
        splits: that were scored at the end, from `caption_report` or `label_report`.
        curves: the validation scores to plot, besides the loss.
        monitor: the score that selected the best epoch.
        history: one record per epoch: epoch, loss and the validation scores.
        notes: warnings, for the top of the page.
        command: that started the run.
        export: the folder of the SavedModel.
        facts: the duration, the hardware and the versions, by name.

    Raises:
        OSError: if the file cannot be written; an existing file is then left unchanged.
    """
    names = ("loss", LOSS, *curves)
    columns = [name for name in names if any(name in record for record in history)]
    text = template_of("page.html").render(
        config=config,
        what=f"{TASKS[config.task].answer}s".capitalize(),
        lead=_lead(config, len(history)),
        predict=TASKS[config.task].predict_command.format(export=export),
        options=_options(config),
        curves=[_curve(history, name, monitor) for name in columns],
        history=history,
        columns=columns,
        splits=splits,
        notes=[*notes, *([small_data.note(config)] if config.small_data else [])],
        command=command,
        export=export,
        facts=facts,
    )
    with atomic_write(path) as file:
        file.write(text)


def _lead(config: Config, epochs: int) -> str:
    """Return the subtitle: the model, seed and epochs."""
    used = {field.name for field in dataclasses.fields(config) if TASKS[config.task].uses(field)}
    parts = [str(getattr(config, name)) for name in ("backbone", "cell", "decoder") if name in used]
    parts += [f"beam {config.beams}"] if "beams" in used else []
    parts += [f"seed {config.seed}", f"{epochs} epoch{'s' * (epochs != 1)}"]
    return " · ".join(parts)


def _options(config: Config) -> dict[str, list[tuple[str, str]]]:
    """Return flags and values by group; None as a dash."""
    groups: dict[str, list[tuple[str, str]]] = {}
    for field in dataclasses.fields(config):
        if field.name == "task" or not TASKS[config.task].uses(field):  # the task is in the title
            continue
        value = getattr(config, field.name)
        text = "–" if value is None else value if isinstance(value, str) else json.dumps(value)
        groups.setdefault(field.metadata["group"], []).append((flag(field.name), text))
    return groups


def _curve(history: Sequence[Mapping[str, float]], name: str, monitor: str) -> dict[str, str]:
    """Return the chart of a score, over the records that have it."""
    records = [record for record in history if name in record]
    best = max(range(len(records)), key=lambda i: rank(records[i], monitor))
    epochs = [int(record["epoch"]) for record in records]
    values = [record[name] for record in records]
    titles = {"loss": "Training loss", LOSS: "Validation loss"}
    title = titles.get(name, f"{name.replace('_', ' ')} on validation")
    alt = (
        f"{title}: {values[0]:.3g} after epoch {epochs[0]}, {values[-1]:.3g} after epoch "
        f"{epochs[-1]}, {values[best]:.3g} at the best, epoch {epochs[best]}"
    )
    return {"title": title, "alt": alt, "svg": _chart(name, epochs, values, best)}


def _chart(name: str, epochs: Sequence[int], values: Sequence[float], best: int) -> str:
    """Return a line chart as SVG that takes its colors from the page."""
    ink, accent = "#010203", "#040506"  # placeholders, replaced below
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        figure = Figure(figsize=(3.6, 2.2), layout="constrained")
        axes = figure.add_subplot()
        axes.plot(epochs, values, color=accent, linewidth=2, marker="o", markersize=3)
        axes.plot(epochs[best], values[best], "o", markersize=8, color=accent)
        if np.ptp(values) < 0.01:  # rounding errors are not a slope
            axes.set_ylim(values[0] - 0.5, values[0] + 0.5)
        axes.set_xlabel("epoch", color=ink)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.spines[["top", "right"]].set_visible(False)
        axes.spines[["left", "bottom"]].set_color(ink)
        axes.tick_params(colors=ink)
        axes.grid(color=ink, alpha=0.15)
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = svg.replace(ink, "currentColor").replace(accent, "var(--accent)")
    # Ids must be unique in a page with several charts.
    prefix = name.lower()
    svg = re.sub(r'\bid="', f'id="{prefix}-', svg)
    svg = re.sub(r'(href="|url\()#', rf"\1#{prefix}-", svg)
    return re.sub(
        r'<svg [^>]*viewBox="([^"]*)"[^>]*>', r'<svg viewBox="\1" aria-hidden="true">', svg
    )
