"""The command `wordreel`.

Heavy libraries are imported only after the command line has been parsed.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence

from data.common.errors import unknown
from pipelines.cli import (
    caption,
    check,
    classify,
    evaluate,
    gradient_flow,
    prepare,
    rnn_tasks,
    serve,
    translate,
    verify_export,
)
from pipelines.config.renamed import COMMANDS as RENAMED
from pipelines.config.renamed import refuse_renamed, refuse_renamed_options
from pipelines.runtime.console import Parser, exit_code

COMMANDS = {
    "caption": caption,
    "check": check,
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
    """Run the command line; the exit code is 0, 1 for invalid inputs, 2 for errors."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # file names that are not Unicode
    return exit_code(lambda: run(sys.argv[1:]))


def run(words: Sequence[str]) -> int:
    """Run a command; return 0, or 1 if an input is invalid.

    Raises:
        UserError: for errors that the user can fix.
        SystemExit: after `--help`.
    """
    if words and not words[0].startswith("-") and words[0] not in COMMANDS:
        refuse_renamed("command", words[0], RENAMED)
        raise unknown("command", words[0], COMMANDS)
    refuse_renamed_options(words)
    if words[:1] == ["prepare"]:  # unknown options are Apache Beam's
        given, others = parser().parse_known_args(words)
        return prepare.run(given, others)
    given = parser().parse(words)
    code: int = COMMANDS[given.command].run(given)
    return code


def parser() -> Parser:
    """Return the parser of the whole command line."""
    whole = Parser(
        prog="wordreel",
        description="Check and prepare datasets; evaluate, use and serve trained models.",
    )
    commands = whole.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, module in COMMANDS.items():
        module.add_arguments(
            commands.add_parser(name, help=module.SUMMARY, description=module.SUMMARY)
        )
    return whole


if __name__ == "__main__":
    sys.exit(main())
