"""Verify an export in a process that has neither this project nor Keras."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from data.common.errors import UserError

SCRIPT = Path(__file__).with_name("isolated_check.py")
TIMEOUT = 1800  # seconds; a large model on a busy machine takes minutes


def verify(folder: Path) -> list[tuple[str, str | None]]:
    """Return each check's name and what is wrong, None if nothing is.

    Args:
        folder: the version's, with saved_model.pb in it.

    Raises:
        UserError: if it says nothing of itself, or ends the process that loads it.
    """
    # -S leaves out what .pth files add, such as this project installed as editable.
    paths = [path for path in sys.path if path.endswith(("site-packages", "dist-packages"))]
    try:
        done = subprocess.run(
            [sys.executable, "-I", "-S", str(SCRIPT), str(folder.absolute()), *paths],
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
        )
    except subprocess.TimeoutExpired:
        raise UserError(f"the export {folder} did not answer within {TIMEOUT} s") from None
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise UserError(f"the export {folder} cannot be checked: {last}")
    return [(check, problem) for check, problem in json.loads(done.stdout.splitlines()[-1])]


def refuse_unless_sound(folder: Path) -> None:
    """Verify an export that is about to be published.

    Raises:
        UserError: naming what is wrong.
    """
    wrong = [f"{check}: no: {problem}" for check, problem in verify(folder) if problem]
    if wrong:
        raise UserError(
            "the export was not published, for it does not keep its promises: " + "; ".join(wrong)
        )
