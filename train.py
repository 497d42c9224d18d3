"""Train and evaluate a model, export it and write a report: `python train.py --help`."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence

from pipelines.cli.train import parse
from pipelines.config.init_from import check_init_from
from pipelines.config.run_directory import open_run
from pipelines.runtime.console import exit_code, quiet_tensorflow


def main(arguments: Sequence[str]) -> int:
    """Run the command line; return the exit code 0.

    Raises:
        UserError: for a mistake that the user can fix.
    """
    given = parse(arguments)
    check_init_from(given.config)
    folder = open_run(given.config, given.run_dir)
    quiet_tensorflow()
    from pipelines.training.distribution import restart_if_worker_lost
    from pipelines.training.run import run  # takes seconds to import: only after the checks

    with restart_if_worker_lost():
        run(
            given.config,
            folder,
            shlex.join(["python", "train.py", *arguments]),
            callbacks=given.callbacks,
            profile=given.profile,
        )
    return 0


if __name__ == "__main__":
    sys.exit(exit_code(lambda: main(sys.argv[1:]), "stopped; the same command resumes the run"))
