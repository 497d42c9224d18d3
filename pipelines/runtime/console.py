"""What both commands share: a parser with short errors, exit codes, TensorFlow kept quiet."""

from __future__ import annotations

import argparse
import contextlib
import difflib
import errno
import faulthandler
import math
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NoReturn

from data.common.errors import UserError

MISTAKE, STOPPED = 2, 130  # exit codes: as argparse's own; as a shell's for SIGINT (128 + 2)


class Parser(argparse.ArgumentParser):
    """An `ArgumentParser` that raises UserErrors, a line long, and never guesses an option."""

    def __init__(self, **settings: Any) -> None:
        """Take what `ArgumentParser` takes."""
        settings.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        super().__init__(allow_abbrev=False, **settings)

    def parse(self, words: Sequence[str]) -> argparse.Namespace:
        """Parse all words.

        Raises:
            UserError: for an option that does not exist, with the nearest that does; a value that
                is missing or of the wrong type; a word too many.
        """
        found, extra = self.parse_known_args(words)
        for word in extra:
            name = word.partition("=")[0]
            if name.startswith("-"):
                raise self._unknown_option(name, words)
        if extra:
            raise UserError(f"one word too many: {extra[0]!r}; see {self.prog} --help")
        return found

    def error(self, message: str) -> NoReturn:
        """Raise argparse's message as a UserError.

        Raises:
            UserError: always.
        """
        message = re.sub(r"^argument (.+?): ", r"\1 ", message)
        message = message.replace("expected one argument", "needs a value")
        raise UserError(f"{message}; see {self.prog} --help")

    def _unknown_option(self, name: str, words: Sequence[str]) -> UserError:
        near = difflib.get_close_matches(name, _options(self, words), n=1)
        hint = f"did you mean {near[0]}?" if near else f"see {self.prog} --help"
        return UserError(f"unknown option {name}: {hint}")


def _options(parser: argparse.ArgumentParser, words: Sequence[str]) -> list[str]:
    """Return the options of a parser and of the subcommand among `words`."""
    names: list[str] = []
    for action in parser._actions:
        names += action.option_strings
        if isinstance(action, argparse._SubParsersAction):
            for word in words:
                if word in action.choices:
                    names += _options(action.choices[word], ())
    return names


def number(kind: type, rule: str, optional: bool = False) -> Callable[[str], Any]:
    """Return a reader of numbers for `add_argument(type=…)`; `none` is read if `optional`."""

    def read(text: str) -> Any:
        if optional and text == "none":
            return None
        try:
            value = kind(text)
            finite = math.isfinite(value)
        except (ValueError, OverflowError):  # the latter: a whole number beyond all floats
            finite = False
        if not finite:
            raise argparse.ArgumentTypeError(
                f"takes {rule}{' or none' if optional else ''}, not {text!r}"
            )
        return value

    return read


def exit_code(work: Callable[[], int], stopped: str = "stopped") -> int:
    """Do a command's work; turn what a user can mend into a line on stderr and an exit code.

    Args:
        work: returns the exit code if all went well.
        stopped: said after Ctrl-C.

    Raises:
        Exception: whatever is a fault of the program.
    """
    try:
        return work()
    except KeyboardInterrupt:
        print(f"\n{stopped}", file=sys.stderr)
        return STOPPED
    except BrokenPipeError:  # `wordreel caption … | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nothing left to flush
        return 1
    except Exception as error:
        text = explanation(error)
        if text is None:
            raise
        print(f"wordreel: error: {text}", file=sys.stderr)
        return MISTAKE


def explanation(error: Exception) -> str | None:
    """Return what to tell the user of an error, or None if it is a fault of the program.

    >>> explanation(PermissionError(errno.EACCES, "Permission denied", "runs/a"))
    "cannot write or read 'runs/a': permission denied"
    """
    if isinstance(error, UserError):
        return str(error)
    text = str(error)
    # TensorFlow writes files of its own and has its own classes for what happens then.
    foreign = type(error).__module__.startswith("tensorflow")
    number = error.errno if isinstance(error, OSError) else None
    if number in (errno.ENOSPC, errno.EDQUOT) or (foreign and "No space left on device" in text):
        return f"the disk is full{_where(error)}: make room, then give the same command again"
    if number in (errno.EACCES, errno.EPERM):
        return f"cannot write or read{_where(error)}: permission denied"
    if number == errno.EROFS:
        return f"cannot write{_where(error)}: the disk is read-only"
    if foreign and ("Permission denied" in text or "Read-only file system" in text):
        return text.splitlines()[0]
    if isinstance(error, OSError) and error.strerror:
        return f"cannot write or read{_where(error)}: {error.strerror.lower()}"
    return None


def _where(error: Exception) -> str:
    # Of two names the second is where a file was to go; the first is a temporary one.
    name = getattr(error, "filename2", None) or getattr(error, "filename", None)
    return f" {str(name)!r}" if name else ""


def quiet_tensorflow() -> None:
    """Import TensorFlow without what its C++ says of itself; its errors are kept.

    `TF_CPP_MIN_LOG_LEVEL` hides information and warnings, but not before TensorFlow has set up
    its log: those lines are held back here. Whoever sets the variable to 0 sees all of it.
    """
    if os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2") in ("0", "1"):
        return
    with _filtered_stderr(_worth_saying):
        import tensorflow as tf

        if os.environ.get("TF_CONFIG"):  # a cluster is joined before anything else is done
            return
        # The search for a GPU speaks too, and on many processors the first function of each type
        # that oneDNN does not know there.
        tf.config.list_physical_devices()
        kinds = tf.float16, tf.uint8
        tf.function(lambda x: [tf.transpose(tf.cast(x, kind)) for kind in kinds])(tf.zeros([2, 2]))


def _worth_saying(text: str) -> list[str]:
    """Return the lines of TensorFlow's early log that are not noise."""
    noise = r"[IW]\d{4} |WARNING: All log messages before absl|E\d{4} .*oneDNN supports DT_"
    if "Could not find cuda drivers" in text:
        noise += r"|E\d{4} .*cuInit"
    return [line for line in text.splitlines() if not re.match(noise, line)]


@contextlib.contextmanager
def _filtered_stderr(select: Callable[[str], list[str]]) -> Iterator[None]:
    """Hold back what anyone writes to file descriptor 2; let the selected lines by at the end."""
    sys.stderr.flush()
    with tempfile.TemporaryFile() as held, os.fdopen(os.dup(2), "wb", buffering=0) as real:
        # A crash in there would take the held lines with it: let it speak past them.
        crash_reporter = faulthandler.is_enabled()
        faulthandler.enable(file=real)
        os.dup2(held.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(real.fileno(), 2)
            faulthandler.enable() if crash_reporter else faulthandler.disable()
            held.seek(0)
            for line in select(held.read().decode(errors="replace")):
                print(line, file=sys.stderr)
