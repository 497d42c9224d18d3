from __future__ import annotations

import errno
import os
import subprocess
import sys

import pytest

from data.common.errors import UserError
from pipelines.runtime.console import Parser, exit_code, explanation
from tests.support.paths import ROOT


def fail(error: BaseException) -> int:
    raise error


def python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env=os.environ | environment,
    )


def test_the_exit_code_of_a_command_is_returned(capsys: pytest.CaptureFixture[str]) -> None:
    assert (exit_code(lambda: 0), exit_code(lambda: 1)) == (0, 1)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    "error, parts",
    [
        (UserError("no such thing"), ["no such thing"]),
        (OSError(errno.ENOSPC, "No space left on device", "a/b"), ["disk is full", "'a/b'"]),
        (OSError(errno.ENOSPC, "No space left on device"), ["disk is full", "free some space"]),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), ["disk is full"]),
        (PermissionError(errno.EACCES, "Permission denied", "runs"), ["'runs'", "permission"]),
        (FileExistsError(errno.EEXIST, "File exists", "out"), ["'out'", "file exists"]),
        (IsADirectoryError(errno.EISDIR, "Is a directory", "a", None, "b"), ["'b'", "is a dir"]),
        (OSError(errno.EFBIG, "File too large"), ["file too large"]),
        (OSError(errno.EROFS, "Read-only file system", "runs"), ["'runs'", "read-only"]),
    ],
)
def test_an_error_that_a_user_can_fix_is_one_line_and_exit_code_2(
    error: Exception, parts: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_code(lambda: fail(error)) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("wordreel: error: ") and err.count("\n") == 1
    assert all(part in err for part in parts)


def test_another_backend_of_keras_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    assert exit_code(lambda: 0) == 2
    message = "wordreel: error: KERAS_BACKEND is jax: unset it, or set it to tensorflow\n"
    assert capsys.readouterr().err == message


def test_ctrl_c_is_exit_code_130_with_a_message(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code(lambda: fail(KeyboardInterrupt()), "stopped; go on") == 130
    assert capsys.readouterr().err == "\nstopped; go on\n"


@pytest.mark.parametrize("error", [ValueError("x"), KeyError("x"), OSError("x")])
def test_bugs_keep_their_traceback(error: Exception) -> None:
    with pytest.raises(type(error)):
        exit_code(lambda: fail(error))


def test_a_closed_pipe_is_not_an_error() -> None:
    code = "import sys; from pipelines.runtime.console import exit_code\n"
    code += "sys.exit(exit_code(lambda: [print('x' * 100) for _ in range(100_000)] and 0))"
    command = f'{sys.executable} -c "{code}" | head -1'
    done = subprocess.run(command, shell=True, cwd=ROOT, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("x" * 100 + "\n", "")


def test_an_unknown_option_of_a_subcommand_gets_the_nearest_name() -> None:
    parser = Parser(prog="wordreel")
    command = parser.add_subparsers(dest="command").add_parser("caption")
    command.add_argument("pictures", nargs="*")
    command.add_argument("--n-best")
    assert parser.parse(["caption", "a.jpg", "--n-best", "3"]).n_best == "3"
    with pytest.raises(UserError, match=r"unknown option --n-bst: did you mean --n-best\?"):
        parser.parse(["caption", "a.jpg", "--n-bst", "3"])


def test_a_full_disk_reported_by_tensorflow_is_explained() -> None:
    import tensorflow as tf

    with pytest.raises(tf.errors.OpError) as caught:
        tf.io.write_file("/dev/full", "x" * 100_000)
    assert "the disk is full" in (explanation(caught.value) or "")
    with pytest.raises(tf.errors.NotFoundError) as other:
        tf.io.read_file("/no/such/file")
    assert explanation(other.value) is None


def test_tensorflow_logs_only_errors() -> None:
    code = (
        "from pipelines.runtime.console import quiet_tensorflow\n"
        "quiet_tensorflow()\n"
        "import tensorflow as tf, sys, os\n"
        "print(int(tf.function(lambda x: tf.cast(x, tf.float16))(3)))\n"
        "tf.function(lambda x: tf.transpose(x))(tf.zeros([2, 3], tf.uint8))\n"
        "os.write(2, b'still connected')"
    )
    done = python(code)
    assert (done.stdout, done.stderr) == ("3\n", "still connected")


def test_other_log_lines_are_not_filtered() -> None:
    code = (
        "from pipelines.runtime.console import _filtered_stderr\n"
        "import os\n"
        "with _filtered_stderr():\n"
        "    os.write(2, b'I0000 00:00:17.8 42 a.cc:1] chatter\\n')\n"
        "    os.write(2, b'E0000 00:00:17.8 42 a.cc:1] failed call to cuInit: old driver\\n')\n"
        "    os.write(2, b'Illegal instruction\\n')\n"
        "    {}\n"
    )
    expected = (
        "E0000 00:00:17.8 42 a.cc:1] failed call to cuInit: old driver\nIllegal instruction\n"
    )
    assert python(code.format("pass")).stderr == expected
    assert python(code.format("raise SystemExit(3)")).stderr == expected
    assert "Fatal Python error" in python(code.format("os.abort()")).stderr
