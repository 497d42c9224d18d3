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
    train,
    translate,
    verify_export,
)
from pipelines.cli.manage import cache, compare, config, runs
from pipelines.config.renamed import COMMANDS as RENAMED
from pipelines.config.renamed import refuse_renamed, refuse_renamed_options
from pipelines.runtime.console import Parser, exit_code
from pipelines.runtime.version import ShowVersions

COMMANDS = {
    "caption": caption,
    "cache": cache,
    "check": check,
    "classify": classify,
    "compare": compare,
    "config": config,
    "evaluate": evaluate,
    "gradient-flow": gradient_flow,
    "prepare": prepare,
    "rnn-tasks": rnn_tasks,
    "runs": runs,
    "serve": serve,
    "train": train,
    "translate": translate,
    "verify-export": verify_export,
}
TRAINING = {"config": config, "train": train}  # they parse the arguments of train.py


def main() -> int:
    """Run the command line; the exit code is 0, 1 for invalid inputs, 2 for errors."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # file names that are not Unicode
    stopped = train.STOPPED if sys.argv[1:2] == ["train"] else "stopped"
    return exit_code(lambda: run(sys.argv[1:]), stopped)


def run(words: Sequence[str]) -> int:
    """Run a command; return 0, or 1 if an input is invalid.

    Raises:
        UserError: for errors that the user can fix.
        SystemExit: after `--help`.
    """
    if words and not words[0].startswith("-") and words[0] not in COMMANDS:
        refuse_renamed("command", words[0], RENAMED)
        raise unknown("command", words[0], COMMANDS)
    if words and (command := TRAINING.get(words[0])):
        return command.main(words[1:])
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
        description="Check and prepare datasets; train, evaluate, use and serve models.",
    )
    whole.add_argument("--version", action=ShowVersions)
    commands = whole.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, module in COMMANDS.items():
        added = commands.add_parser(name, help=module.SUMMARY, description=module.SUMMARY)
        if name in TRAINING:
            text = "the arguments of `python train.py`"
            added.add_argument("arguments", nargs="*", metavar="[TASK] [options]", help=text)
        else:
            module.add_arguments(added)
    return whole


if __name__ == "__main__":
    sys.exit(main())
