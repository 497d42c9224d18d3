"""`wordreel gradient-flow`: what becomes of a gradient on its way back through time."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from data.common.errors import UserError
from pipelines.config.config import CELLS
from pipelines.runtime.console import number, quiet_tensorflow

if TYPE_CHECKING:
    from pipelines.diagnostics.gradient_flow import Flow

SUMMARY = "measure how much of a gradient comes back through a recurrent cell"
INITIAL = ("orthogonal", "glorot", "identity")
# Of new cells; a run has its own.
NEW = {
    "cell": ["rnn", "lstm"],
    "length": 200,
    "units": 64,
    "seed": 0,
    "initial": "orthogonal",
    "scale": 1.0,
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "run",
        nargs="?",
        type=Path,
        metavar="RUN",
        help="a run's directory: measure its own cells, on a batch of its own data, from its own "
        "loss; else new cells on random inputs, as the options say",
    )
    parser.add_argument(
        "--cell",
        nargs="+",
        choices=CELLS,
        metavar="CELL",
        help="cells to compare: rnn, lstm, gru (default: rnn lstm)",
    )
    whole = number(int, "a whole number")
    for name, what in (
        ("length", "steps of the sequence"),
        ("units", "hidden units, and dimensions of the random inputs"),
        ("seed", "of weights, inputs and the gradient's direction"),
    ):
        parser.add_argument(
            f"--{name}", type=whole, metavar="N", help=f"{what} (default: {NEW[name]})"
        )
    parser.add_argument(
        "--examples",
        type=whole,
        default=8,
        metavar="N",
        help="sequences (of a run: of its data); the table has the median of their gradients "
        "(default: 8)",
    )
    parser.add_argument(
        "--initial",
        choices=INITIAL,
        metavar="NAME",
        help="how the recurrent weights begin: orthogonal, glorot, identity (default: orthogonal)",
    )
    parser.add_argument(
        "--scale",
        type=number(float, "a number"),
        metavar="X",
        help="what they are multiplied by; a vanilla RNN explodes from about 2 on (default: 1)",
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("gradient-flow.png"),
        metavar="FILE.png",
        help="the picture; a .csv table goes beside it (default: gradient-flow.png)",
    )


def run(given: argparse.Namespace) -> int:
    """Measure, draw, write the table, and print what became of the gradient; return 0."""
    told = [name for name in NEW if getattr(given, name) is not None]
    if given.run and told:
        raise UserError(f"--{told[0]} is of new cells: {given.run} is measured with its own")
    for name in NEW.keys() - set(told):
        setattr(given, name, NEW[name])
    for name in ("length", "units", "examples"):
        if getattr(given, name) < 1:
            raise UserError(f"--{name} must be at least 1, not {getattr(given, name)}")
    if given.seed < 0:
        raise UserError(f"--seed must be 0 or more, not {given.seed}")
    if not 0 < given.scale <= 1e6:
        raise UserError(f"--scale must be above 0 and at most 1e6, not {given.scale:g}")
    if given.out.suffix != ".png":
        raise UserError(f"--out names a .png file, not {str(given.out)!r}")
    quiet_tensorflow()
    from pipelines.diagnostics.gradient_flow import draw, verdict, write_table

    flows, title, loss_at = _of_run(given) if given.run else _of_new_cells(given)
    for flow in flows:
        print(verdict(flow))
    table = given.out.with_suffix(".csv")
    write_table(table, flows)
    draw(given.out, flows, title, loss_at)
    print(f"picture {given.out}\ntable   {table}")
    return 0


def _of_run(given: argparse.Namespace) -> tuple[list[Flow], str, str]:
    """Measure a run; return the flows, a title, and where the loss looks."""
    from pipelines.diagnostics.run_gradient_flow import measure_run

    flows = measure_run(given.run, given.examples)
    return flows, f"{given.run.name}: ∂L/∂(state) of a batch of {given.examples}", "the run's own"


def _of_new_cells(given: argparse.Namespace) -> tuple[list[Flow], str, str]:
    """Measure new cells on random inputs."""
    import tensorflow as tf

    from pipelines.diagnostics.gradient_flow import make_cell, measure

    shape = (given.examples, given.length, given.units)
    inputs = tf.random.stateless_normal(shape, [given.seed, 0])
    flows = []
    for name in dict.fromkeys(given.cell):
        cell = make_cell(
            name,
            given.units,
            given.units,
            initial=given.initial,
            scale=given.scale,
            seed=given.seed,
        )
        flows.append(measure(name, cell, inputs, seed=given.seed))
    title = f"{given.units} units, {given.initial} × {given.scale:g}, seed {given.seed}"
    return flows, title, "looks at the last"
