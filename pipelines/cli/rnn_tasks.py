"""`wordreel rnn-tasks`: what vanilla RNN, LSTM and GRU can learn, and up to what length."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from data.common.errors import UserError
from pipelines.config.config import CELLS
from pipelines.runtime.console import number, quiet_tensorflow

if TYPE_CHECKING:
    from pipelines.diagnostics.rnn_training import Outcome, Trial

SUMMARY = "try what each recurrent cell can learn, at several lengths"
TASKS = ("adding", "copying", "digits")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "--task",
        nargs="+",
        choices=TASKS,
        default=list(TASKS),
        metavar="TASK",
        help=f"{', '.join(TASKS)} (default: all of them)",
    )
    parser.add_argument(
        "--cell",
        nargs="+",
        choices=CELLS,
        default=list(CELLS),
        metavar="CELL",
        help="cells to compare: rnn, lstm, gru (default: all of them)",
    )
    whole = number(int, "a whole number")
    parser.add_argument(
        "--length",
        nargs="+",
        type=whole,
        metavar="T",
        help="of every task, in steps (default: each task's own; of digits 64 / T must be whole)",
    )
    for name, default, what in (
        ("--seeds", 3, "runs of each, from other weights and examples"),
        ("--units", 64, "hidden units"),
        ("--steps", 1500, "training steps after which a run gives up"),
        ("--batch-size", 64, "examples in a step"),
        ("--jobs", None, "runs at once"),
    ):
        shown = "one a processor core" if default is None else default
        parser.add_argument(
            name, type=whole, default=default, metavar="N", help=f"{what} (default: {shown})"
        )
    parser.add_argument(
        "--learning-rate",
        type=number(float, "a number"),
        default=5e-3,
        metavar="X",
        help="of Adam (default: 5e-3)",
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("rnn-tasks"),
        metavar="DIR",
        help="gets rnn-tasks.png, .csv, and what is finished, with which the same command goes on "
        "(default: rnn-tasks)",
    )


def run(given: argparse.Namespace) -> int:
    """Train what is not there yet; draw, write the table, and print what came out; return 0."""
    for name in ("seeds", "units", "steps", "batch_size", "jobs"):
        value = getattr(given, name)
        if value is not None and value < 1:
            raise UserError(f"--{name.replace('_', '-')} must be at least 1, not {value}")
    if not given.learning_rate > 0:
        raise UserError(f"--learning-rate must be above 0, not {given.learning_rate:g}")
    for length in given.length or ():
        if length < 2:
            raise UserError(f"--length must be at least 2, not {length}")
        if "digits" in given.task and 64 % length:
            raise UserError(f"--length {length}: a digit has 64 pixels, which it does not divide")
    quiet_tensorflow()
    from pipelines.diagnostics.rnn_results import draw, keep, kept, lines, write_table

    notes = given.out / "finished.jsonl"
    wanted, known = _trials(given), kept(notes)
    waiting = [trial for trial in wanted if trial not in known]
    if len(waiting) < len(wanted):
        print(f"{len(wanted) - len(waiting)} of {len(wanted)} runs are finished already")
    jobs = given.jobs or len(os.sched_getaffinity(0))
    for count, (trial, outcome) in enumerate(_train(waiting, jobs), 1):
        keep(notes, trial, outcome)
        known[trial] = outcome
        print(
            f"{count}/{len(waiting)} {trial.task} T={trial.length} {trial.cell} seed {trial.seed}: "
            f"{'solved' if outcome.solved else 'not solved'} after {outcome.taken:,} steps, "
            f"{outcome.score:.3g} ({outcome.seconds:.0f} s)",
            flush=True,
        )
    results = {trial: known[trial] for trial in wanted}
    write_table(given.out / "rnn-tasks.csv", results)
    draw(given.out / "rnn-tasks.png", results)
    print("\n".join(lines(results)))
    print(f"\npicture {given.out / 'rnn-tasks.png'}\ntable   {given.out / 'rnn-tasks.csv'}")
    return 0


def _trials(given: argparse.Namespace) -> list[Trial]:
    """Return all runs asked for, the short ones first."""
    from pipelines.diagnostics.rnn_tasks import CLASSIC_TASKS
    from pipelines.diagnostics.rnn_training import Trial

    trials = [
        Trial(
            task,
            length,
            cell,
            seed,
            units=given.units,
            steps=given.steps,
            batch_size=given.batch_size,
            rate=given.learning_rate,
        )
        for task in dict.fromkeys(given.task)
        for length in dict.fromkeys(given.length or CLASSIC_TASKS[task].lengths)
        for cell in dict.fromkeys(given.cell)
        for seed in range(given.seeds)
    ]
    return sorted(trials, key=lambda trial: trial.length)


def _train(trials: list[Trial], jobs: int) -> Iterator[tuple[Trial, Outcome]]:
    """Yield each run as it finishes."""
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor, as_completed

    from pipelines.diagnostics.rnn_training import attempt

    if jobs == 1 or len(trials) < 2:
        for trial in trials:
            yield trial, attempt(trial)
        return
    # Steps are many and small: threads within one run would only wait for each other.
    fresh = multiprocessing.get_context("spawn")  # TensorFlow does not survive a fork
    pool = ProcessPoolExecutor(min(jobs, len(trials)), fresh, initializer=_one_thread)
    try:
        running = {pool.submit(attempt, trial): trial for trial in trials}
        for done in as_completed(running):
            yield running[done], done.result()
    finally:
        pool.shutdown(cancel_futures=True)


def _one_thread() -> None:
    for kind in ("INTRAOP", "INTEROP"):
        os.environ[f"TF_NUM_{kind}_THREADS"] = "1"
    quiet_tensorflow()
