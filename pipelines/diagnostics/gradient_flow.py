"""Measure the gradient of a recurrent cell at each step of backpropagation through time.

With s_t the cell's state (h_t, and for an LSTM c_t beside it) the chain rule gives

    ∂L/∂s_{t-1} = ∂L/∂s_t · J_t,    J_t = ∂s_t/∂s_{t-1}

so that a gradient k steps back contains a product of k Jacobians. For the vanilla
RNN J_t = diag(tanh′(W_hh h_{t-1} + W_xh x_t)) W_hh, and tanh′ ≤ 1: where the largest singular value
of W_hh is below 1 the gradient vanishes, and only where it is above 1 can it explode (Bengio,
Simard & Frasconi 1994; Pascanu, Mikolov & Bengio 2013).

Each J_t is computed by automatic differentiation. The product is computed in float64, so that a
gradient of 1e-200 does not underflow.
"""

from __future__ import annotations

import csv
import dataclasses
import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from data.common.errors import UserError
from data.common.files import atomic_write
from models.layers.cells import CELLS, Cell
from models.layers.unroll import Step, output_state

MAX_GRADIENT = 1e150  # larger gradients overflow when squared
VANISHING, EXPLODING = 1e-3, 1e3  # ratio of the gradients at the first and last step

# Initial values of W_hh, which `scale` multiplies.
INITIALIZERS: dict[str, Callable[[int], np.ndarray]] = {
    "orthogonal": lambda units: keras.initializers.Orthogonal()((units, units)).numpy(),
    "glorot": lambda units: keras.initializers.GlorotUniform()((units, units)).numpy(),
    "identity": lambda units: np.eye(units),
}


@dataclasses.dataclass(frozen=True)
class GradientFlow:
    """The gradients of one cell; index t - 1 is step t of T."""

    cell: str
    # For each part of the state (`h`, and `c` of an LSTM) ‖∂L/∂h_t‖ or ‖∂L/∂c_t‖, the median over
    # examples, float64 `[T]`.
    gradients: dict[str, np.ndarray]
    # Of ∂h_t/∂h_{t-1}, in descending order, the mean over examples, float64 `[T, units]`.
    singular_values: np.ndarray

    @property
    def total(self) -> np.ndarray:
        """Return the gradient's norm over all parts of the state, float64 `[T]`."""
        return np.sqrt(sum(np.square(part) for part in self.gradients.values()))


def build_cell(name: str, units: int, *, initializer: str, scale: float, seed: int) -> Cell:
    """Build a cell with `units` inputs: W_h of each gate is `scale` times `initializer`."""
    keras.utils.set_random_seed(seed)
    cell = CELLS[name](units)
    cell.build((None, units))
    gates = cell.recurrent_kernel.shape[-1] // units
    blocks = [scale * INITIALIZERS[initializer](units) for _ in range(gates)]
    cell.recurrent_kernel.assign(np.concatenate(blocks, axis=1))
    return cell


def measure_gradient_flow(
    name: str, cell: Cell, inputs: tf.Tensor, *, seed: int = 0
) -> GradientFlow:
    """Propagate a gradient of norm 1 and random direction back from h_T to h_1.

    Args:
        name: name of the cell.
        cell: a built cell.
        inputs: float32 `[examples, T, depth]`.
        seed: seed of the directions.

    Raises:
        UserError: if the gradient overflows.
    """

    def step(x: tf.Tensor, state: Any) -> tuple[tf.Tensor, Any]:
        return x, cell.step(x, state)

    projected = tf.transpose(cell.project(inputs), [1, 0, 2])
    run_step, jacobian_of = (
        tf.function(each, autograph=False) for each in (step, functools.partial(jacobian, step))
    )
    states = [cell.initial_state(inputs.shape[0])]
    for x in projected[:-1]:
        states.append(run_step(x, states[-1])[1])
    directions = np.random.default_rng(seed).normal(size=(len(inputs), cell.units))
    directions /= np.linalg.norm(directions, axis=-1, keepdims=True)
    names = states[0]._fields
    others = (len(names) - 1) * cell.units
    gradient = np.pad(directions, ((0, 0), (0, others)))  # L depends on h_T alone
    parts = np.zeros([len(states), len(names), len(inputs)])
    singular_values = np.zeros([len(states), cell.units])
    for t in reversed(range(len(states))):
        if not np.abs(gradient).max() < MAX_GRADIENT:  # also if NaN
            raise UserError(
                f"{name}: the gradient {len(states) - 1 - t} steps back exceeds {MAX_GRADIENT:g}: "
                "lower --scale or --length"
            )
        split = gradient.reshape(len(inputs), len(names), cell.units)
        parts[t] = np.linalg.norm(split, axis=-1).T
        found, _ = jacobian_of(projected[t], states[t])
        singular_values[t] = mean_singular_values(found, cell.units)
        gradient = np.einsum("ni,nij->nj", gradient, found.numpy().astype(float))
    medians = np.median(parts, axis=-1)
    return GradientFlow(name, dict(zip(names, medians.T, strict=True)), singular_values)


def jacobian(step: Step, inputs: tf.Tensor, state: Any) -> tuple[tf.Tensor, Any]:
    """Return ∂s_t/∂s_{t-1} of a cell, `[examples, after, before]`, and the state after the step."""
    before = output_state(state)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(before)
        _, after = step(inputs, state)
    rows = [
        tf.concat([tape.batch_jacobian(part, each) for each in before], axis=-1)
        for part in output_state(after)
    ]
    return tf.concat(rows, axis=1), after


def mean_singular_values(jacobian: tf.Tensor, units: int) -> np.ndarray:
    """Return the singular values of ∂h_t/∂h_{t-1}, the mean over examples, `[units]`."""
    dh_dh = jacobian.numpy().astype(float)[:, :units, :units]
    values: np.ndarray = np.linalg.svd(dh_dh, compute_uv=False).mean(axis=0)
    return values


def describe(flow: GradientFlow) -> str:
    """Describe in words how the gradient changes, back from the last step that has one.

    >>> flow = GradientFlow("rnn", {"h": 0.5 ** np.arange(20)[::-1]}, np.full([20, 1], 0.5))
    >>> describe(flow).partition("(")[0]
    'rnn: the gradient vanished: norm 1 at step 20, 1.9e-06 at step 1 '
    """
    if not flow.total.any():
        return f"{flow.cell}: no gradient at any step."
    # After the end of most sentences the loss has no gradient.
    total = np.trim_zeros(flow.total, "b")
    steps, first, last = len(total), total[0], total[-1]
    ratio = first / last
    fate, advice = "was preserved", ""
    if ratio < VANISHING:
        fate = "vanished" if first else "vanished completely"
        after = int(np.argmax(total[::-1] / last < VANISHING))
        advice = (
            f" It falls below {VANISHING:g} after {after} steps; longer dependencies are hardly "
            "learned."
        )
    elif ratio > EXPLODING:
        fate = "exploded"
        after = int(np.argmax(total[::-1] / last > EXPLODING))
        advice = f" It exceeds {EXPLODING:g} after {after} steps: use gradient clipping."
    return (
        f"{flow.cell}: the gradient {fate}: norm {last:.2g} at step {steps}, {first:.2g} at step 1 "
        f"(× {ratio ** (1 / max(1, steps - 1)):.2g} per step).{advice}"
    )


def write_table(path: Path, flows: Sequence[GradientFlow]) -> None:
    """Write a CSV file with a row for each cell and step.

    Columns: cell; t; gradient, the norm over the whole state; gradient_h; gradient_c, empty for a
    cell without one; sigma_max, sigma_median and sigma_min, singular values of ∂h_t/∂h_{t-1}.
    """
    with atomic_write(path) as file:
        writer = csv.writer(file, lineterminator="\n")
        names = "cell t gradient gradient_h gradient_c sigma_max sigma_median sigma_min"
        writer.writerow(names.split())
        for flow in flows:
            c_gradients = flow.gradients.get("c")
            for t, values in enumerate(flow.singular_values):
                parts = [flow.total[t], flow.gradients["h"][t]]
                parts += ["" if c_gradients is None else c_gradients[t]]
                row = [*parts, values[0], np.median(values), values[-1]]
                cells = [x if isinstance(x, str) else f"{x:.6g}" for x in row]
                writer.writerow([flow.cell, t + 1, *cells])


def plot(path: Path, flows: Sequence[GradientFlow], title: str, loss: str = "last step") -> None:
    """Write a PNG: the gradients (top) and singular values (bottom) of each step, log scale."""
    figure = Figure(figsize=(8, 7), layout="constrained")
    gradient, singular = figure.subplots(2, 1, sharex=True)
    for flow in flows:
        steps = np.arange(1, len(flow.total) + 1)
        (line,) = gradient.plot(steps, _positive(flow.total), label=flow.cell, linewidth=2)
        color: Any = line.get_color()
        singular.plot(steps, _positive(flow.singular_values[:, 0]), color=color, label=flow.cell)
        median = _positive(np.median(flow.singular_values, axis=1))
        singular.plot(steps, median, color=color, linestyle="--", linewidth=1)
    for axes in (gradient, singular):
        axes.set_yscale("log")
        axes.spines[["top", "right"]].set_visible(False)
    gradient.set_title(title, loc="left")
    gradient.set_ylabel("‖∂L/∂(state at t)‖")
    gradient.legend(frameon=False)
    singular.set_ylabel("singular values of ∂h_t/∂h_{t-1}:\nmaximum (solid), median (dashed)")
    singular.axhline(1, color="gray", linewidth=0.5)
    singular.xaxis.set_major_locator(MaxNLocator(integer=True))
    singular.set_xlabel(f"step t, in processing order; loss: {loss}")
    with atomic_write(path, "wb") as file:
        figure.savefig(file, format="png", dpi=120)


def _positive(values: np.ndarray) -> np.ndarray:
    """Replace zeros by NaN, which a logarithmic axis omits."""
    return np.where(values > 0, values, np.nan)
