"""Stand-ins for work that goes wrong, run in processes of their own: nothing heavy is imported."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

WORK_ITEMS, POISON, BYSTANDER = 5, 3, 1


def deadly_make(work: str, key: str, deadly: dict[int, str]) -> None:
    """Stand for a decoder that crashes on one item, and a process that is killed over another."""
    for number in range(WORK_ITEMS):
        (Path(work) / f"{key}.current").write_bytes(b"%8d" % number)
        once = Path(work) / "killed"
        if number == BYSTANDER and not once.exists():
            once.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        if number == POISON and number not in deadly:
            os.abort()
    (Path(work) / f"{key}.json").write_text(json.dumps(deadly))


def deadly_attempt(work: str, key: str, number: int) -> None:
    """Read one item by itself."""
    if number == POISON:
        os.abort()


def full_disk(work: str, key: str, deadly: dict[int, str]) -> None:
    """Stand for a write that fails."""
    raise OSError(28, "No space left on device", "/out/shard")


def always_dying(work: str, key: str, deadly: dict[int, str]) -> None:
    """Stand for a machine without memory."""
    os._exit(9)


def orphan(pid_file: str) -> None:
    """Say who this is, and wait for ever."""
    Path(pid_file).write_text(str(os.getpid()))
    time.sleep(600)
