"""Train and evaluate a model, export it and write a report: `python train.py --help`."""

import sys

from pipelines.cli.train import STOPPED, main
from pipelines.runtime.console import exit_code

if __name__ == "__main__":
    sys.exit(exit_code(lambda: main(sys.argv[1:], "python train.py"), STOPPED))
