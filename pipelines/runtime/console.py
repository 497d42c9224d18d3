"""Helpers of all commands: a parser with short errors, exit codes, TensorFlow without its log."""

from __future__ import annotations

import argparse
import contextlib
import difflib
import errno
import faulthandler
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NoReturn

from data.common.errors import UserError

USAGE_ERROR, INTERRUPTED = 2, 130  # exit codes of argparse and, for SIGINT, of a shell (128 + 2)


class Parser(argparse.ArgumentParser):
    """An `ArgumentParser` that raises one-line UserErrors and accepts no abbreviations."""

    def __init__(self, **settings: Any) -> None:
        settings.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        super().__init__(allow_abbrev=False, **settings)

    def parse(self, words: Sequence[str]) -> argparse.Namespace:
        """Parse all arguments.

        Raises:
            UserError: for an unknown option, an extra argument, or a missing or wrong value.
        """
        found, extra = self.parse_known_args(words)
        for word in extra:
            name = word.partition("=")[0]
            if name.startswith("-") and word != "-":
                raise self._unknown_option(name, words)
        if isinstance(several := getattr(found, "inputs", None), list):
            several += extra  # argparse ends a list of arguments at the first option
        elif extra:
            raise UserError(f"unexpected argument {extra[0]!r}; see {self.prog} --help")
        return found

    def error(self, message: str) -> NoReturn:
        """Raise argparse's message as a UserError."""
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
            for word in action.choices.keys() & words:
                names += _options(action.choices[word], ())
    return names


def table(rows: Iterable[Sequence[str]]) -> str:
    """Return rows with aligned columns, separated by two spaces.

    >>> print(table([("name", "size"), ("a", "12 kB")]))
    name  size
    a     12 kB
    """
    rows = list(rows)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)
    return "\n".join(lines)


def size_text(size: int) -> str:
    """Return a number of bytes for people.

    >>> size_text(999), size_text(1_234_567), size_text(5_400_000_000)
    ('999 B', '1.2 MB', '5.4 GB')
    """
    for unit, least in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if size >= least:
            return f"{size / least:.1f} {unit}"
    return f"{size} B"


def exit_code(work: Callable[[], int], stopped: str = "stopped") -> int:
    """Run a command; turn errors that a user can fix into a line on stderr and an exit code.

    Args:
        work: the command; returns its exit code.
        stopped: printed after Ctrl-C.
    """
    try:
        if (backend := os.environ.get("KERAS_BACKEND", "tensorflow")) != "tensorflow":
            raise UserError(f"KERAS_BACKEND is {backend}: unset it, or set it to tensorflow")
        return work()
    except KeyboardInterrupt:
        print(f"\n{stopped}", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # `wordreel caption … | head`
        # Nothing is left to flush.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        text = explanation(error)
        if text is None:
            raise
        print(f"wordreel: error: {text}", file=sys.stderr)
        return USAGE_ERROR


def explanation(error: Exception) -> str | None:
    """Return the message for the user, or None if the error is a bug of the program."""
    if isinstance(error, UserError):
        return str(error)
    text = str(error)
    # TensorFlow writes files itself and raises its own exceptions.
    foreign = type(error).__module__.startswith("tensorflow")
    number = error.errno if isinstance(error, OSError) else None
    if number in (errno.ENOSPC, errno.EDQUOT) or (foreign and "No space left on device" in text):
        return f"the disk is full{_where(error)}: free some space, then run the same command again"
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
    # With two names, the second is the target of a move; the first is temporary.
    name = getattr(error, "filename2", None) or getattr(error, "filename", None)
    return f" {str(name)!r}" if name else ""


def quiet_tensorflow() -> None:
    """Import TensorFlow without its informational log; errors are kept.

    `TF_CPP_MIN_LOG_LEVEL` does not apply to the lines before TensorFlow has set up its log: this
    function filters those. With the variable set to 0, nothing is hidden.
    """
    if os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2") in ("0", "1"):
        return
    with _filtered_stderr():
        import tensorflow as tf

        if os.environ.get("TF_CONFIG"):  # a cluster must be joined before any other call
            return
        # The search for a GPU also logs and, on many processors, the first op of each type that
        # oneDNN does not support there.
        tf.config.list_physical_devices()
        kinds = tf.float16, tf.uint8
        tf.function(lambda x: [tf.transpose(tf.cast(x, kind)) for kind in kinds])(tf.zeros([2, 2]))


def _without_noise(text: str) -> list[str]:
    """Return the lines of TensorFlow's early log except the usual noise."""
    noise = r"[IW]\d{4} |WARNING: All log messages before absl|E\d{4} .*oneDNN supports DT_"
    if "Could not find cuda drivers" in text:
        noise += r"|E\d{4} .*cuInit"
    return [line for line in text.splitlines() if not re.match(noise, line)]


@contextlib.contextmanager
def _filtered_stderr() -> Iterator[None]:
    """Capture file descriptor 2; print what is not noise at the end."""
    sys.stderr.flush()
    with tempfile.TemporaryFile() as captured, os.fdopen(os.dup(2), "wb", buffering=0) as real:
        # A crash would lose the captured lines: let the crash reporter bypass them.
        crash_reporter = faulthandler.is_enabled()
        faulthandler.enable(file=real)
        os.dup2(captured.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(real.fileno(), 2)
            faulthandler.enable() if crash_reporter else faulthandler.disable()
            captured.seek(0)
            for line in _without_noise(captured.read().decode(errors="replace")):
                print(line, file=sys.stderr)
