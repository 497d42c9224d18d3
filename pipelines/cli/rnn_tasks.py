"""`wordreel rnn-tasks`: compare vanilla RNN, LSTM and GRU on tasks of increasing length."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from data.common.errors import UserError
from pipelines.config.config import CELLS
from pipelines.runtime.console import quiet_tensorflow
from pipelines.runtime.numbers import ABOVE_ZERO, POSITIVE, Constraint, add_number, number

if TYPE_CHECKING:
    from pipelines.diagnostics.rnn_training import Outcome, Trial

SUMMARY = "compare recurrent cells on classic tasks at several lengths"
TASKS = ("adding", "copying", "digits")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    for name, choices, text in (("task", TASKS, ""), ("cell", CELLS, "cells to compare: ")):
        parser.add_argument(
            f"--{name}",
            nargs="+",
            choices=choices,
            default=list(choices),
            metavar=name.upper(),
            help=f"{text}{', '.join(choices)} (default: all of them)",
        )
    steps = number(int, Constraint("at least 2", lambda x: x >= 2))
    text = "lengths of every task in steps (default: by task; must divide 64 for digits)"
    parser.add_argument("--length", nargs="+", type=steps, metavar="T", help=text)
    for name, default, what in (
        ("--seeds", 3, "runs of each task, cell and length with different seeds"),
        ("--units", 64, "hidden units"),
        ("--steps", 1500, "maximum number of training steps"),
        ("--batch-size", 64, "examples per training step"),
    ):
        add_number(parser, name, int, POSITIVE, what, default)
    text = "parallel runs (default: one per processor core)"
    add_number(parser, "--jobs", int, POSITIVE, text)
    add_number(parser, "--learning-rate", float, ABOVE_ZERO, "learning rate of Adam", 5e-3)
    text = (
        "output directory of rnn-tasks.png, .csv and the finished runs, from which the same "
        "command resumes (default: rnn-tasks)"
    )
    parser.add_argument("--out", type=Path, default=Path("rnn-tasks"), metavar="DIR", help=text)


def run(given: argparse.Namespace) -> int:
    """Train the missing runs, print the results, and write the plot and the table; return 0."""
    for length in given.length or ():
        if "digits" in given.task and 64 % length:
            raise UserError(f"--length {length} must divide the 64 pixels of a digit")
    quiet_tensorflow()
    from pipelines.diagnostics.rnn_results import (
        append_result,
        format_results,
        plot_results,
        read_results,
        write_table,
    )

    notes = given.out / "finished.jsonl"
    trials, results = _trials(given), read_results(notes)
    missing = [trial for trial in trials if trial not in results]
    if len(missing) < len(trials):
        print(f"{len(trials) - len(missing)} of {len(trials)} runs are already finished")
    jobs = given.jobs or len(os.sched_getaffinity(0))
    for count, (trial, outcome) in enumerate(_train(missing, jobs), 1):
        append_result(notes, trial, outcome)
        results[trial] = outcome
        print(
            f"{count}/{len(missing)} {trial.task} T={trial.length} {trial.cell} seed {trial.seed}: "
            f"{'solved' if outcome.solved else 'not solved'} after {outcome.steps_taken:,} steps, "
            f"{outcome.score:.3g} ({outcome.seconds:.0f} s)",
            flush=True,
        )
    results = {trial: results[trial] for trial in trials}
    write_table(given.out / "rnn-tasks.csv", results)
    plot_results(given.out / "rnn-tasks.png", results)
    print("\n".join(format_results(results)))
    print(f"\nplot  {given.out / 'rnn-tasks.png'}\ntable {given.out / 'rnn-tasks.csv'}")
    return 0


def _trials(given: argparse.Namespace) -> list[Trial]:
    """Return all requested trials, short ones first."""
    from pipelines.diagnostics.rnn_tasks import RNN_TASKS
    from pipelines.diagnostics.rnn_training import Trial

    names = ("units", "steps", "batch_size", "learning_rate")
    settings = {name: getattr(given, name) for name in names}
    trials = [
        Trial(task, length, cell, seed, **settings)
        for task in dict.fromkeys(given.task)
        for length in dict.fromkeys(given.length or RNN_TASKS[task].lengths)
        for cell in dict.fromkeys(given.cell)
        for seed in range(given.seeds)
    ]
    return sorted(trials, key=lambda trial: trial.length)


def _train(trials: list[Trial], jobs: int) -> Iterator[tuple[Trial, Outcome]]:
    """Yield each run as it finishes."""
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor, as_completed

    from pipelines.diagnostics.rnn_training import run_trial

    if jobs == 1 or len(trials) < 2:
        for trial in trials:
            yield trial, run_trial(trial)
        return
    # With many small steps, several threads per run would mostly wait for each other.
    fresh = multiprocessing.get_context("spawn")  # TensorFlow does not support fork
    pool = ProcessPoolExecutor(min(jobs, len(trials)), fresh, initializer=_one_thread)
    try:
        running = {pool.submit(run_trial, trial): trial for trial in trials}
        for done in as_completed(running):
            yield running[done], done.result()
    finally:
        pool.shutdown(cancel_futures=True)


def _one_thread() -> None:
    for kind in ("INTRAOP", "INTEROP"):
        os.environ[f"TF_NUM_{kind}_THREADS"] = "1"
    quiet_tensorflow()
