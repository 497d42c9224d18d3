"""Train on several GPUs or machines: the strategy, the parts of a batch, and restarts.

With `TF_CONFIG` in the environment each process is a worker of `MultiWorkerMirroredStrategy`; on a
machine with several GPUs `MirroredStrategy` uses them all; otherwise there is one replica. The
batch is the same in all three cases: each replica computes a part, and a part's share of the
gradient is its share of the batch's words (or of the class weights), so that the step equals that
of a single machine, up to the order of sums.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import tensorflow as tf

from pipelines.config.run_directory import DATA
from pipelines.inputs.batches import Batch
from pipelines.runtime import cluster

RESTARTS = "WORDREEL_RESTARTS"  # in the environment: how often this worker has restarted
MAX_RESTARTS = 100

# The errors of a step when another worker is gone.
WORKER_LOST = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
    tf.errors.InternalError,
)


def make_strategy() -> tf.distribute.Strategy:
    """Return the strategy; in a cluster, it must be called before any TensorFlow operation."""
    if cluster.read().workers > 1:
        return tf.distribute.MultiWorkerMirroredStrategy()
    if len(tf.config.list_physical_devices("GPU")) > 1:
        return tf.distribute.MirroredStrategy()
    return tf.distribute.get_strategy()


def scope(strategy: tf.distribute.Strategy) -> contextlib.AbstractContextManager[object]:
    """Return the scope in which weights are created; one replica needs none."""
    single = strategy.num_replicas_in_sync == 1
    return contextlib.nullcontext() if single else strategy.scope()


@contextlib.contextmanager
def writable_folder(run_dir: Path, dry_run: bool = False) -> Iterator[Path]:
    """Yield the folder to write to: the run directory, or a temporary copy for all but the chief.

    A dry run gets a copy too. It has the vocabularies, labels and hashes that an earlier start has
    written.
    """
    if cluster.read().chief and not dry_run:
        yield run_dir
        return
    with tempfile.TemporaryDirectory(prefix="wordreel-") as folder:
        started = not dry_run or (run_dir / DATA).exists()
        for path in [*run_dir.glob("*.txt"), *run_dir.glob(DATA)] if started else []:
            shutil.copy(path, folder)
        yield Path(folder)


@contextlib.contextmanager
def restart_if_worker_lost() -> Iterator[None]:
    """Restart this process with the same command when another worker is lost.

    The lost worker must be restarted from outside; then all resume from the last checkpoint.
    """
    try:
        yield
    except WORKER_LOST as error:
        restarts = int(os.environ.get(RESTARTS, "0")) + 1
        if cluster.read().workers == 1 or restarts > MAX_RESTARTS:
            raise
        reason = str(error).partition("\n")[0]
        print(f"a worker was lost ({reason:.120}); waiting for it", file=sys.stderr, flush=True)
        os.environ[RESTARTS] = str(restarts)
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


def all_reduce_mean(
    strategy: tf.distribute.Strategy, values: Mapping[str, float]
) -> Mapping[str, float]:
    """Return the mean of the workers' values, so that all make the same decisions."""
    if strategy.num_replicas_in_sync == 1:
        return values

    def mean(own: tf.Tensor) -> tf.Tensor:
        context = tf.distribute.get_replica_context()
        # A captured constant is on no replica's device, but its copy is.
        return context.all_reduce(tf.distribute.ReduceOp.MEAN, tf.identity(own))

    own = tf.constant([float(value) for value in values.values()], tf.float64)
    means = local_value(strategy, tf.function(strategy.run)(mean, (own,)))
    return dict(zip(values, means.numpy().tolist(), strict=True))


def local_value(strategy: tf.distribute.Strategy, value: tf.Tensor) -> tf.Tensor:
    """Return the value of this process's first replica, for each tensor of a nest."""
    return tf.nest.map_structure(lambda each: strategy.experimental_local_results(each)[0], value)


def split_batch(
    batch: Batch, count: int, target_weight: Callable[[tf.Tensor], tf.Tensor]
) -> list[tuple[tf.Tensor, tf.Tensor, tf.Tensor]]:
    """Split a batch into `count` parts, `(inputs, targets, share of the batch's weight)`.

    Args:
        batch: inputs and targets; the second of a tuple of targets is the example index.
        count: of parts; if there are fewer rows, some parts have one row and a share of 0.
        target_weight: targets → the divisor of their mean loss.
    """
    inputs, targets = batch
    rows = len(tf.nest.flatten(targets)[0])
    bounds = np.linspace(0, rows, count + 1).round().astype(int)
    total = target_weight(targets)
    parts = []
    for start, end in itertools.pairwise(bounds.tolist()):
        empty = end == start
        start, stop = (min(start, rows - 1), end + 1) if empty else (start, end)
        own = tf.nest.map_structure(lambda it, a=start, b=stop: it[a:b], targets)
        share = tf.zeros_like(total) if empty else target_weight(own) / total
        if isinstance(own, tuple):
            kept, example_index = np.unique(own[1], return_inverse=True)
            chosen = tf.nest.map_structure(lambda it, k=kept: tf.gather(it, k), inputs)
            own = (own[0], tf.constant(example_index, tf.int32), *own[2:])
        else:
            chosen = tf.nest.map_structure(lambda it, a=start, b=stop: it[a:b], inputs)
        parts.append((chosen, own, share))
    return parts
