"""Training on several GPUs or machines: who takes which part of a batch, and who writes.

With `TF_CONFIG` in the environment each process is a worker of `MultiWorkerMirroredStrategy`; on a
machine with several GPUs `MirroredStrategy` uses them all; else there is one replica, and nothing
of this costs anything. The batch is the same in all three cases: every replica takes a part, and
each part counts in the gradient as many times as it has words (or weighs, with class weights), so
that the step is the one that a single machine would make, but for the order of sums.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from pipelines.runtime import cluster

RESTARTS = "WORDREEL_RESTARTS"  # in the environment: how often this worker has begun again
MOST_RESTARTS = 100

# What a step ends in when another worker is gone.
LOST = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
    tf.errors.InternalError,
)

Mass = Callable[[Any], tf.Tensor]


def strategy() -> tf.distribute.Strategy:
    """Return the way this process trains; of a cluster, before TensorFlow has done anything."""
    if cluster.read().workers > 1:
        return tf.distribute.MultiWorkerMirroredStrategy()
    if len(tf.config.list_physical_devices("GPU")) > 1:
        return tf.distribute.MirroredStrategy()
    return tf.distribute.get_strategy()


def scope(strategy: tf.distribute.Strategy) -> contextlib.AbstractContextManager[Any]:
    """Return the scope in which weights are made; of one replica there is none."""
    alone = strategy.num_replicas_in_sync == 1
    return contextlib.nullcontext() if alone else strategy.scope()


@contextlib.contextmanager
def writable(run_dir: Path) -> Iterator[Path]:
    """Yield the folder to write to: the run's for the chief, one that is thrown away for others.

    What an earlier start wrote of words and labels is read by all.
    """
    if cluster.read().chief:
        yield run_dir
        return
    with tempfile.TemporaryDirectory(prefix="wordreel-") as folder:
        for path in run_dir.glob("*.txt"):
            shutil.copy(path, folder)
        yield Path(folder)


@contextlib.contextmanager
def beginning_again() -> Iterator[None]:
    """Start this process anew, with the same command, when another worker is lost.

    The lost one, started again by whoever started it, finds this one waiting; all go on from the
    last checkpoint.
    """
    try:
        yield
    except LOST as error:
        again = int(os.environ.get(RESTARTS, "0")) + 1
        if cluster.read().workers == 1 or again > MOST_RESTARTS:
            raise
        reason = str(error).partition("\n")[0]
        print(f"a worker was lost ({reason:.120}); waiting for it", file=sys.stderr, flush=True)
        os.environ[RESTARTS] = str(again)
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


def agreed(strategy: tf.distribute.Strategy, values: dict[str, float]) -> dict[str, float]:
    """Return the mean of what the workers found, so that all decide alike."""
    if strategy.num_replicas_in_sync == 1:
        return values

    def mean(own: tf.Tensor) -> tf.Tensor:
        context = tf.distribute.get_replica_context()
        # What comes from outside is on no replica's device: its copy is.
        return context.all_reduce(tf.distribute.ReduceOp.MEAN, tf.identity(own))

    own = tf.constant([float(value) for value in values.values()], tf.float64)
    found = first(strategy, tf.function(strategy.run)(mean, (own,)))
    return dict(zip(values, found.numpy().tolist(), strict=True))


def first(strategy: tf.distribute.Strategy, value: Any) -> Any:
    """Return what the first replica of this process has."""

    def own(each: Any) -> Any:
        return strategy.experimental_local_results(each)[0]

    return tf.nest.map_structure(own, value)


def parts(batch: tuple[Any, Any], number: int, mass: Mass) -> list[tuple[Any, Any, tf.Tensor]]:
    """Cut a batch into `number` parts, each with its share of the whole's weight.

    Args:
        batch: inputs and targets, as a head's batches have them. Of a tuple of targets the second
            are owners: int32, the input that each row is about.
        number: of parts; where there are fewer rows, some have one that weighs nothing.
        mass: targets → what the mean over them divides by.
    """
    inputs, targets = batch
    rows = len(tf.nest.flatten(targets)[0])
    bounds = np.linspace(0, rows, number + 1).round().astype(int)
    whole = mass(targets)
    cut = []
    for start, end in itertools.pairwise(bounds.tolist()):
        empty = end == start
        start, stop = (min(start, rows - 1), end + 1) if empty else (start, end)
        own = tf.nest.map_structure(lambda it, a=start, b=stop: it[a:b], targets)
        weight = tf.zeros_like(whole) if empty else mass(own) / whole
        if isinstance(own, tuple):
            kept, owners = np.unique(own[1], return_inverse=True)
            chosen = tf.nest.map_structure(lambda it, k=kept: tf.gather(it, k), inputs)
            own = (own[0], tf.constant(owners, tf.int32), *own[2:])
        else:
            chosen = tf.nest.map_structure(lambda it, a=start, b=stop: it[a:b], inputs)
        cut.append((chosen, own, weight))
    return cut
