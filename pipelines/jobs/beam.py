"""A Beam pipeline whose elements are shards, on any runner that shares a disk with this machine.

    Create(keys) | Reshuffle | BuildShard

Only keys are sent: the items of a shard and its result are in the folder that all workers share.
`pipelines.jobs.worker` makes a shard and handles crashes.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import threading
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from data.common.errors import UserError
from data.common.progress import progress
from data.sharding.shards import Shard
from pipelines.jobs.worker import FAILED, Worker

logging.disable(logging.WARNING)  # Beam's import warns that Google's libraries are missing
import apache_beam as beam  # noqa: E402
from apache_beam.options.pipeline_options import PipelineOptions  # noqa: E402

logging.disable(logging.NOTSET)


class BuildShard(beam.DoFn):
    """Makes the shard of each key in a folder that all workers share."""

    def __init__(self, work: str) -> None:
        self.work = work

    def setup(self) -> None:
        """Create the worker; its process starts with the first shard."""
        self.worker = Worker(self.work)

    def process(self, key: str) -> Iterator[str]:
        """Yield the key if its shard was made."""
        if self.worker.build(key):
            yield key

    def teardown(self) -> None:
        """End the process."""
        self.worker.close()


def run(work: Path, shards: Sequence[Shard], unit: str, beam_options: Sequence[str]) -> None:
    """Make shards.

    Args:
        work: the folder with `job.json` and their items.
        shards: the missing ones.
        unit: of the progress bar.
        beam_options: of the command line; without a runner all cores of this machine are used.

    Raises:
        UserError: if a worker found an error that the user can fix, or the chosen runner failed.
    """
    if not shards:
        return
    (work / FAILED).unlink(missing_ok=True)
    total = sum(shard.size for shard in shards)
    with progress(total, "preparing", unit) as bar, _watched(work, shards, bar):
        # Largest first, so that all workers get about the same amount of work.
        keys = [shard.key for shard in sorted(shards, key=lambda it: -it.size)]
        try:
            with beam.Pipeline(options=_options(beam_options, len(keys))) as pipeline:
                _ = (
                    pipeline
                    | beam.Create(keys)
                    | beam.Reshuffle()
                    | beam.ParDo(BuildShard(str(work.absolute())))
                )
        except KeyboardInterrupt:  # workers finish the current shard and start no other
            (work / FAILED).touch()
            raise
        except Exception as error:
            if "--runner" not in _names(beam_options):
                raise
            raise UserError(
                f"the runner failed: {str(error) or repr(error)}\n"
                "Finished shards are kept: the same command resumes from there"
            ) from error
    if (work / FAILED).exists():
        text = (work / FAILED).read_text(encoding="utf-8")
        raise UserError(text or f"workers could not write to {work}: is the disk full?")
    lost = [shard for shard in shards if not (work / f"{shard.key}.json").exists()]
    if lost:
        raise UserError(
            f"{len(lost):,} of {len(shards):,} shards are missing: do all workers share {work}, "
            "and is there space on its disk?"
        )


def check_options(words: Sequence[str]) -> None:
    """Raise a UserError for an option that Beam does not know: it would ignore it silently."""
    known = argparse.ArgumentParser(add_help=False, allow_abbrev=False, conflict_handler="resolve")
    known.add_value_provider_argument = known.add_argument  # type: ignore[attr-defined]
    for options in PipelineOptions.__subclasses__():
        if hasattr(options, "_add_argparse_args"):
            options._add_argparse_args(known)
    _, extra = known.parse_known_args(list(words))
    if extra:
        raise UserError(
            f"unknown option {extra[0]}: neither prepare nor Apache Beam has it; "
            "see wordreel prepare --help"
        )


def _options(given: Sequence[str], shards: int) -> PipelineOptions:
    # DirectRunner would first look for Prism, which Beam downloads; its own engine is enough.
    named = _names(given)
    if "--runner" in named:
        return PipelineOptions(list(given))
    defaults = {
        "--runner": "apache_beam.runners.portability.fn_api_runner.FnApiRunner",
        "--direct_running_mode": "multi_threading",  # the threads only wait for worker processes
        "--direct_num_workers": min(len(os.sched_getaffinity(0)), shards),
    }
    added = [f"{name}={value}" for name, value in defaults.items() if name not in named]
    return PipelineOptions([*given, *added])


def _names(words: Sequence[str]) -> set[str]:
    return {word.partition("=")[0] for word in words}


@contextlib.contextmanager
def _watched(work: Path, shards: Iterable[Shard], bar: Any) -> Iterator[None]:
    """Move a progress bar as workers finish shards."""
    waiting, done = {shard.key: shard.size for shard in shards}, threading.Event()

    def update() -> None:
        for key in [key for key in waiting if (work / f"{key}.json").exists()]:
            bar.update(waiting.pop(key))

    def watch() -> None:
        while not done.wait(0.5):
            update()

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
        update()
