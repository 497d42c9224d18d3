"""Verify an export in a process without this project and without Keras."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from data.common.errors import UserError

SCRIPT = Path(__file__).with_name("isolated_check.py")
TIMEOUT = 1800  # seconds; a large model on a busy machine takes minutes


def verify(folder: Path) -> list[tuple[str, str | None]]:
    """Return the name of each check and its problem, None if it passed.

    Args:
        folder: of a version, with saved_model.pb.

    Raises:
        UserError: if the checks cannot run, as without wordreel.json or if loading crashes.
    """
    # -S skips .pth files, and with them an editable installation of this project.
    paths = [path for path in sys.path if path.endswith(("site-packages", "dist-packages"))]
    try:
        done = subprocess.run(
            [sys.executable, "-I", "-S", str(SCRIPT), str(folder.absolute()), *paths],
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
        )
    except subprocess.TimeoutExpired:
        raise UserError(f"checking the export {folder} took more than {TIMEOUT} s") from None
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise UserError(f"the export {folder} cannot be checked: {last}")
    return [(check, problem) for check, problem in json.loads(done.stdout.splitlines()[-1])]


def refuse_invalid(folder: Path) -> None:
    """Raise a UserError with the failed checks of an export that is not yet published."""
    wrong = [f"{check}: {problem}" for check, problem in verify(folder) if problem]
    if wrong:
        raise UserError(
            "the export was not published because these checks failed: " + "; ".join(wrong)
        )
