"""The page of any report: what was run, curves, options; a head fills in the rest.

It holds all it needs (pictures as base64, curves as SVG) and asks nothing of any server, so it can
be sent by mail and opened in ten years.
"""

from __future__ import annotations

import dataclasses
import io
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from data.common.files import atomic_write
from pipelines.config.config import Config, flag
from pipelines.config.task import TASKS
from pipelines.reports.templates import template_of

Measures = Mapping[str, tuple[str, float]]  # name in a record → title of its chart, factor


def write_page(
    path: Path | str,
    template: str,
    *,
    config: Config,
    history: Sequence[Mapping[str, float]],
    measures: Measures,
    monitor: str,
    **rest: Any,
) -> None:
    """Fill in a template that extends page.html.

    Args:
        path: the file to write.
        template: a file of pipelines/templates.
        config: what was run.
        history: a record an epoch: epoch, loss and the validation scores.
        measures: what of a record is drawn.
        monitor: the score by which the best epoch was chosen.
        rest: what the template shows besides: command, export, notes, splits, …

    Raises:
        OSError: if the file cannot be written; one that was there stays as it was.
    """
    text = template_of(template).render(
        config=config,
        lead=_lead(config, len(history)),
        ask=TASKS[config.task].ask.format(export=rest["export"]),
        options=_options(config),
        curves=_curves(history, measures, monitor),
        history=history,
        columns=[name for name in measures if history and name in history[0]],
        **rest,
    )
    with atomic_write(path) as file:
        file.write(text)


def _lead(config: Config, epochs: int) -> str:
    """Say in a line what was trained."""
    used = {field.name for field in dataclasses.fields(config) if TASKS[config.task].uses(field)}
    parts = [str(getattr(config, name)) for name in ("backbone", "cell", "decoder") if name in used]
    parts += [f"beam {config.beams}"] if "beams" in used else []
    parts += [f"seed {config.seed}", f"{epochs} epoch{'s' * (epochs != 1)}"]
    return " · ".join(parts)


def _options(config: Config) -> dict[str, list[tuple[str, str]]]:
    """Return flags and values by group; None as a dash."""
    groups: dict[str, list[tuple[str, str]]] = {}
    for field in dataclasses.fields(config):
        if field.name == "task" or not TASKS[config.task].uses(field):  # the title says the task
            continue
        value = getattr(config, field.name)
        shown = "–" if value is None else value if isinstance(value, str) else json.dumps(value)
        groups.setdefault(field.metadata["group"], []).append((flag(field.name), shown))
    return groups


def _curves(
    history: Sequence[Mapping[str, float]], measures: Measures, monitor: str
) -> list[dict[str, Any]]:
    """Return a chart of each measure, over the records that have it."""
    curves = []
    for name, (title, factor) in measures.items():
        if records := [record for record in history if name in record]:
            best = max(range(len(records)), key=lambda i: records[i].get(monitor, 0.0))
            epochs = [int(record["epoch"]) for record in records]
            values = [factor * record[name] for record in records]
            alt = (
                f"{title}: {values[0]:.3g} after epoch {epochs[0]}, {values[-1]:.3g} after epoch "
                f"{epochs[-1]}, {values[best]:.3g} at the best, epoch {epochs[best]}"
            )
            svg = _chart(name, epochs, values, best)
            curves.append({"title": title, "alt": alt, "svg": svg})
    return curves


def _chart(name: str, epochs: Sequence[int], values: Sequence[float], best: int) -> str:
    """Return a line chart as SVG that takes its colours from the page around it."""
    ink, accent = "#010203", "#040506"  # stand-ins, replaced below
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        figure = Figure(figsize=(3.6, 2.2), layout="constrained")
        axes = figure.add_subplot()
        axes.plot(epochs, values, color=accent, linewidth=2, marker="o", markersize=3)
        axes.plot(epochs[best], values[best], "o", markersize=8, color=accent)
        if np.ptp(values) < 0.01:  # no slope where there is nothing but rounding
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
    # Several charts stand in one page, where an id may occur once.
    prefix = name.lower()
    svg = re.sub(r'\bid="', f'id="{prefix}-', svg)
    svg = re.sub(r'(href="|url\()#', rf"\1#{prefix}-", svg)
    return re.sub(
        r'<svg [^>]*viewBox="([^"]*)"[^>]*>', r'<svg viewBox="\1" aria-hidden="true">', svg
    )
