"""Train a model, score it, export it and write a report: `python train.py --help`."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence

from pipelines.cli.train import parse
from pipelines.config.run_directory import open_run
from pipelines.runtime.console import exit_code, quiet_tensorflow


def main(words: Sequence[str]) -> int:
    """Do what the command line asks for; return 0.

    Raises:
        UserError: for what the user can mend.
    """
    config, run_dir = parse(words)
    folder = open_run(config, run_dir)
    quiet_tensorflow()
    from pipelines.training.distribution import restart_if_worker_lost
    from pipelines.training.run import run  # takes seconds: after the mistakes have been found

    with restart_if_worker_lost():
        run(config, folder, shlex.join(["python", "train.py", *words]))
    return 0


if __name__ == "__main__":
    sys.exit(exit_code(lambda: main(sys.argv[1:]), "stopped; the same command goes on from here"))
