"""Functions that fail or crash, for worker processes; nothing heavy is imported."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

WORK_ITEMS, CRASHING, KILLED_ONCE = 5, 3, 1


def crash_on_one_item(work: str, key: str, crashing: dict[int, str]) -> None:
    """Crash on one item like a decoder; the process is killed once at another."""
    for number in range(WORK_ITEMS):
        (Path(work) / f"{key}.current").write_bytes(b"%8d" % number)
        once = Path(work) / "killed"
        if number == KILLED_ONCE and not once.exists():
            once.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        if number == CRASHING and number not in crashing:
            os.abort()
    (Path(work) / f"{key}.json").write_text(json.dumps(crashing))


def crash_alone(work: str, key: str, number: int) -> None:
    """Crash if the only item is the crashing one."""
    if number == CRASHING:
        os.abort()


def full_disk(work: str, key: str, crashing: dict[int, str]) -> None:
    """Fail like a write to a full disk."""
    raise OSError(28, "No space left on device", "/out/shard")


def always_exit(work: str, key: str, crashing: dict[int, str]) -> None:
    """Exit like a process that the machine kills."""
    os._exit(9)


def sleep_forever(pid_file: str) -> None:
    """Write the process id and sleep."""
    Path(pid_file).write_text(str(os.getpid()))
    time.sleep(600)
