"""Making shards in a process of its own: what crashes there is named and left out.

Nothing of Beam is imported here, lest every such process load it.
"""

from __future__ import annotations

import contextlib
import functools
import json
import logging
import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

from data.common.errors import UserError
from pipelines.runtime.console import explanation, quiet_tensorflow

FAILED = "failed"  # a file that says why a worker gave up; who finds it stops as well
TRIALS = 5  # processes that may die over a shard; each names a picture


class Sandbox:
    """A process in which functions are called; it dies alone, and with this process."""

    _pool: ProcessPoolExecutor | None = None

    def call(self, function: Any, *given: Any) -> Any:
        """Return what `function`, of a module's top level, returns there.

        Raises:
            BrokenProcessPool: if the process dies of it; the next call gets a new one.
            Exception: what the function raises.
        """
        if self._pool is None:
            context = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(1, context, initializer=_begin)
        try:
            return self._pool.submit(function, *given).result()
        except BrokenProcessPool:
            self.close()
            raise

    def close(self) -> None:
        """Let the process end; TensorFlow takes a while, for which nobody waits."""
        if self._pool is not None:
            self._pool.shutdown(wait=False)
            self._pool = None


def _begin() -> None:
    """Set up a process of a sandbox: quiet, a single thread of computing, no orphan."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that waits
    parent = multiprocessing.parent_process()
    assert parent is not None
    threading.Thread(target=_die_with, args=(parent.sentinel,), daemon=True).start()
    # Sums in the same order for any number of workers; the workers are what runs in parallel.
    os.environ |= {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1"}
    os.environ.pop("TF_CONFIG", None)


def _die_with(sentinel: int) -> None:
    multiprocessing.connection.wait([sentinel])
    os._exit(1)


def make(work: str, key: str, deadly: dict[int, str]) -> None:
    """Make a shard: see `data.sharding.shard_writer.write_shard`."""
    _load_tensorflow()
    from data.sharding.shard_writer import write_shard

    write_shard(Path(work), key, deadly, _encoder(work))


@functools.cache
def _load_tensorflow() -> None:
    quiet_tensorflow()
    logging.getLogger("absl").setLevel(logging.ERROR)


@functools.cache
def _encoder(work: str) -> Any:
    """Load the encoder of a job, once in a process."""
    settings = json.loads((Path(work) / "job.json").read_text())["encoder"]
    if settings is None:
        return None
    from pipelines.inputs.frozen_encoder import FrozenEncoder

    return FrozenEncoder(settings)


def attempt(work: str, key: str, number: int) -> None:
    """Read one item of a shard, to see whether the process lives through it."""
    _load_tensorflow()
    from data.sharding.dataset_kinds import kind_of
    from data.sharding.work_items import read_items

    job = json.loads((Path(work) / "job.json").read_text())
    _, items = read_items(Path(work) / f"{key}.items")
    with contextlib.suppress(UserError, OSError):  # it has a reason and lives
        kind_of(job["dataset"]).load(items[number].entry, job["options"])


class Worker:
    """Makes shards of a job; a picture that ends the process which reads it is left out."""

    def __init__(self, work: str) -> None:
        """Take the folder that all workers see."""
        self.work, self.sandbox = work, Sandbox()

    def build(self, key: str) -> bool:
        """Make the shard of a key, unless a worker has given up; say whether it is there.

        What a user can mend is written to the folder, not raised: no runner needs to try again.
        """
        failed = Path(self.work) / FAILED
        if failed.exists():
            return False
        try:
            self._make(key)
        except Exception as error:
            text = explanation(error)
            if text is None:
                raise
            with contextlib.suppress(OSError):  # a full disk may take the file, and not the text
                failed.write_text(text, encoding="utf-8")
            return False
        return True

    def close(self) -> None:
        """End the process."""
        self.sandbox.close()

    def _make(self, key: str) -> None:
        deadly: dict[int, str] = {}
        for _ in range(TRIALS):
            try:
                self.sandbox.call(make, self.work, key, deadly)
                return
            except BrokenProcessPool:
                number = _in_hand(Path(self.work) / f"{key}.hand")
                if number is not None and number not in deadly and self._kills(key, number):
                    deadly[number] = "whatever reads it crashes"
        raise UserError(
            f"{TRIALS} processes have died over one shard, of no picture in particular: is there "
            "memory enough? Fewer workers (--direct_num_workers) need less"
        )

    def _kills(self, key: str, number: int) -> bool:
        """Say whether an item ends a process that reads nothing else: no bystander is blamed."""
        try:
            self.sandbox.call(attempt, self.work, key, number)
        except BrokenProcessPool:
            return True
        return False


def _in_hand(path: Path) -> int | None:
    """Return the number of the item that a dead process had in hand."""
    number = int(path.read_bytes() or b"-1") if path.exists() else -1
    return number if number >= 0 else None
