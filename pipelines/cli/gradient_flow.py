"""`wordreel gradient-flow`: measure vanishing and exploding gradients through time."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from data.common.errors import UserError
from pipelines.config.config import CELLS
from pipelines.runtime.console import quiet_tensorflow
from pipelines.runtime.numbers import NON_NEGATIVE, POSITIVE, Constraint, add_number

if TYPE_CHECKING:
    from pipelines.diagnostics.gradient_flow import GradientFlow

SUMMARY = "measure vanishing and exploding gradients of recurrent cells"
INITIALIZERS = ("orthogonal", "glorot", "identity")
# The parser has None instead, so that options given together with a run are detected.
NEW_CELL_DEFAULTS = {
    "cell": ["rnn", "lstm"],
    "length": 200,
    "units": 64,
    "seed": 0,
    "initial": "orthogonal",
    "scale": 1.0,
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    text = (
        "run directory: measure its recurrent layers on a batch of its training data; "
        "without it, new cells on random inputs"
    )
    parser.add_argument("run", nargs="?", type=Path, metavar="RUN", help=text)
    text = f"cells to compare: {', '.join(CELLS)} (default: rnn lstm)"
    parser.add_argument("--cell", nargs="+", choices=CELLS, metavar="CELL", help=text)
    for name, constraint, text in (
        ("length", POSITIVE, "sequence length"),
        ("units", POSITIVE, "hidden units and input dimensions"),
        ("seed", NON_NEGATIVE, "random seed of weights, inputs and gradient"),
    ):
        text = f"{text} (default: {NEW_CELL_DEFAULTS[name]})"
        add_number(parser, f"--{name}", int, constraint, text)
    text = "number of sequences, whose median gradient is reported"
    add_number(parser, "--examples", int, POSITIVE, text, 8)
    text = "of the recurrent weights: orthogonal, glorot, identity (default: orthogonal)"
    parser.add_argument("--initial", choices=INITIALIZERS, metavar="NAME", help=text)
    scale = Constraint("above 0 and at most 1e6", lambda x: 0 < x <= 1e6)
    text = "factor on the recurrent weights; a vanilla RNN explodes from about 2 (default: 1)"
    add_number(parser, "--scale", float, scale, text)
    text = "output plot; a .csv table is written next to it (default: gradient-flow.png)"
    out = Path("gradient-flow.png")
    parser.add_argument("--out", type=Path, default=out, metavar="FILE.png", help=text)


def run(given: argparse.Namespace) -> int:
    """Measure, print a summary, and write the plot and the table; return 0."""
    chosen = [name for name in NEW_CELL_DEFAULTS if getattr(given, name) is not None]
    if given.run and chosen:
        raise UserError(
            f"--{chosen[0]} applies to new cells only: remove it, or the run {given.run}"
        )
    for name in NEW_CELL_DEFAULTS.keys() - set(chosen):
        setattr(given, name, NEW_CELL_DEFAULTS[name])
    if given.out.suffix != ".png":
        raise UserError(f"--out must end in .png, not {str(given.out)!r}")
    quiet_tensorflow()
    from pipelines.diagnostics.gradient_flow import describe, plot, write_table

    flows, title, loss_at = _of_run(given) if given.run else _of_new_cells(given)
    for flow in flows:
        print(describe(flow))
    table = given.out.with_suffix(".csv")
    write_table(table, flows)
    plot(given.out, flows, title, loss_at)
    print(f"plot  {given.out}\ntable {table}")
    return 0


def _of_run(given: argparse.Namespace) -> tuple[list[GradientFlow], str, str]:
    """Measure a run; return its gradients, a title, and the loss."""
    from pipelines.diagnostics.run_gradient_flow import measure_run

    flows = measure_run(given.run, given.examples)
    return flows, f"{given.run.name}: ∂L/∂(state) of a batch of {given.examples}", "of the run"


def _of_new_cells(given: argparse.Namespace) -> tuple[list[GradientFlow], str, str]:
    """Measure new cells on random inputs."""
    import tensorflow as tf

    from pipelines.diagnostics.gradient_flow import build_cell, measure_gradient_flow

    shape = (given.examples, given.length, given.units)
    inputs = tf.random.stateless_normal(shape, [given.seed, 0])
    weights = {"initializer": given.initial, "scale": given.scale, "seed": given.seed}
    flows = []
    for name in dict.fromkeys(given.cell):
        cell = build_cell(name, given.units, **weights)
        flows.append(measure_gradient_flow(name, cell, inputs, seed=given.seed))
    title = f"{given.units} units, {given.initial} × {given.scale:g}, seed {given.seed}"
    return flows, title, "last step"
