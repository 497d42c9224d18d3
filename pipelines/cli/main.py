"""The command `wordreel`: what is done with a trained model.

Nothing heavy is imported before the command line has been understood.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from data.common.errors import unknown
from pipelines.cli import (
    caption,
    check_splits,
    classify,
    evaluate,
    gradient_flow,
    prepare,
    rnn_tasks,
    serve,
    translate,
    verify_export,
)
from pipelines.runtime.console import Parser, exit_code

COMMANDS = {
    "caption": caption,
    "check-splits": check_splits,
    "classify": classify,
    "evaluate": evaluate,
    "gradient-flow": gradient_flow,
    "prepare": prepare,
    "rnn-tasks": rnn_tasks,
    "serve": serve,
    "translate": translate,
    "verify-export": verify_export,
}


def main() -> int:
    """Do what the command line asks for; the exit code is 0, 1 for bad pictures, 2 for mistakes."""
    return exit_code(lambda: run(sys.argv[1:]))


def run(words: Sequence[str]) -> int:
    """Do what `words` ask for.

    Returns:
        0, or 1 if a picture could not be read.

    Raises:
        UserError: for what the user can mend.
        SystemExit: after printing the help that `--help` asks for.
    """
    if words and not words[0].startswith("-") and words[0] not in COMMANDS:
        raise unknown("command", words[0], COMMANDS)
    if words[:1] == ["prepare"]:  # what it does not know is for Apache Beam
        given, others = parser().parse_known_args(words)
        return prepare.run(given, others)
    given = parser().parse(words)
    code: int = COMMANDS[given.command].run(given)
    return code


def parser() -> Parser:
    """Return the parser of the whole command line."""
    whole = Parser(prog="wordreel", description="Use what `python train.py` has trained.")
    commands = whole.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, module in COMMANDS.items():
        module.add_arguments(
            commands.add_parser(name, help=module.SUMMARY, description=module.SUMMARY)
        )
    return whole


if __name__ == "__main__":
    sys.exit(main())
