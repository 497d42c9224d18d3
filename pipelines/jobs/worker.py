"""Make shards in a separate process: a file that crashes it is reported and left out.

Beam is not imported here, so that these processes need not load it.
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
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import TYPE_CHECKING

from data.common.errors import UserError
from pipelines.runtime.console import explanation, quiet_tensorflow

if TYPE_CHECKING:
    from pipelines.inputs.frozen_encoder import FrozenEncoder

FAILED = "failed"  # a file with the reason why a worker stopped; the others then stop as well
TRIALS = 5  # processes that may crash over a shard; each finds one bad file


def _start_process() -> None:
    """Set up a worker process: one compute thread; it ends with its parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent
    parent = multiprocessing.parent_process()
    assert parent is not None
    threading.Thread(target=_exit_with, args=(parent.sentinel,), daemon=True).start()
    # The same order of summation for any number of workers; the workers run in parallel.
    os.environ |= {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1"}
    os.environ.pop("TF_CONFIG", None)


def _exit_with(sentinel: int) -> None:
    multiprocessing.connection.wait([sentinel])
    os._exit(1)


def make(work: str, key: str, crashing: dict[int, str]) -> None:
    """Make a shard: see `data.sharding.shard_writer.write_shard`."""
    _load_tensorflow()
    from data.sharding.shard_writer import write_shard

    write_shard(Path(work), key, crashing, _encoder(work))


@functools.cache
def _load_tensorflow() -> None:
    quiet_tensorflow()
    logging.getLogger("absl").setLevel(logging.ERROR)


@functools.cache
def _encoder(work: str) -> FrozenEncoder | None:
    """Load the encoder of a job, once per process."""
    settings = json.loads((Path(work) / "job.json").read_text())["encoder"]
    if settings is None:
        return None
    from pipelines.inputs.frozen_encoder import FrozenEncoder

    return FrozenEncoder(settings)


def attempt(work: str, key: str, number: int) -> None:
    """Read one item of a shard, to find out whether it crashes the process."""
    _load_tensorflow()
    from data.sharding.datasets import preparable
    from data.sharding.work_items import read_items

    job = json.loads((Path(work) / "job.json").read_text())
    _, items = read_items(Path(work) / f"{key}.items")
    with contextlib.suppress(UserError, OSError):  # an error is not a crash
        preparable(job["dataset"]).load(items[number].entry, job["options"])


class Worker:
    """Makes shards in a separate process; a file that crashes the process is left out."""

    def __init__(self, work: str) -> None:
        self.work = work  # the folder that all workers share
        self._pool: ProcessPoolExecutor | None = None

    def build(self, key: str) -> bool:
        """Make the shard of a key, unless a worker has stopped; return whether it was made."""
        failed = Path(self.work) / FAILED
        if failed.exists():
            return False
        try:
            self._make(key)
        except Exception as error:
            text = explanation(error)
            if text is None:
                raise
            # Not raised: runners would retry.
            with contextlib.suppress(OSError):  # on a full disk there may be room for the file only
                failed.write_text(text, encoding="utf-8")
            return False
        return True

    def call(self, function: Callable[..., None], *arguments: object) -> None:
        """Call a function of a module's top level in the process.

        Raises:
            BrokenProcessPool: if the process crashes; the next call starts a new one.
        """
        if self._pool is None:
            context = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(1, context, initializer=_start_process)
        try:
            self._pool.submit(function, *arguments).result()
        except BrokenProcessPool:
            self.close()
            raise

    def close(self) -> None:
        """End the process without waiting for it: TensorFlow takes a while."""
        if self._pool is not None:
            self._pool.shutdown(wait=False)
            self._pool = None

    def _make(self, key: str) -> None:
        crashing: dict[int, str] = {}
        for _ in range(TRIALS):
            try:
                self.call(make, self.work, key, crashing)
                return
            except BrokenProcessPool:
                number = _current_item(Path(self.work) / f"{key}.current")
                if number is not None and number not in crashing and self._crashes(key, number):
                    crashing[number] = "it crashes the decoder"
        raise UserError(
            f"{TRIALS} processes have crashed over one shard, but not because of one file: is "
            "there enough memory? Fewer workers (--direct_num_workers) need less"
        )

    def _crashes(self, key: str, number: int) -> bool:
        """Return whether an item crashes a process that reads nothing else."""
        try:
            self.call(attempt, self.work, key, number)
        except BrokenProcessPool:
            return True
        return False


def _current_item(path: Path) -> int | None:
    """Return the number of the item that a crashed process was reading."""
    number = int(path.read_bytes() or b"-1") if path.exists() else -1
    return number if number >= 0 else None
