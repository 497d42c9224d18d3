"""One cell learns one classic task at one length: how far it comes, and what its gradient does."""

from __future__ import annotations

import dataclasses
import time

import keras
import numpy as np
import tensorflow as tf

from models.layers.cells import CELLS
from models.layers.linear import Linear
from models.layers.rnn import run_cell
from models.layers.unroll import record_loops, state_gradients
from pipelines.diagnostics.rnn_tasks import CLASSIC_TASKS, ClassicTask

CHECK_EVERY = 100  # steps
HELD_OUT = 500  # examples scored
MEASURED = 4  # sequences whose gradients are measured


@dataclasses.dataclass(frozen=True)
class Trial:
    """What is trained, and how: the same trial ends in the same result.

    Attributes:
        task: a key of `CLASSIC_TASKS`.
        length: its T.
        cell: a key of `models.layers.cells.CELLS`.
        seed: of weights and examples.
        units: hidden units.
        steps: after which it gives up.
        batch_size: examples a step.
        rate: of Adam.
    """

    task: str
    length: int
    cell: str
    seed: int
    units: int
    steps: int
    batch_size: int
    rate: float


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What came of a trial.

    Attributes:
        score: on held-out examples: a mean squared error, or an accuracy.
        solved: whether that will do.
        taken: steps that were needed, or all of them.
        before: of a gradient of 1 at the last step, what is left at the first before training.
        after: the same after it.
        seconds: it took.
    """

    score: float
    solved: bool
    taken: int
    before: float
    after: float
    seconds: float


class _Network:
    """A cell along the sequence, and an answer at the last steps: y = W_hy h + b."""

    def __init__(self, trial: Trial, task: ClassicTask, depth: int) -> None:
        self.task = task
        self.cell = CELLS[trial.cell](trial.units)
        self.cell.build((None, depth))
        self.answer = Linear(task.outputs)
        self.answer.build((None, trial.units))
        self.variables = [*self.cell.trainable_variables, *self.answer.trainable_variables]
        self.optimizer = keras.optimizers.Adam(trial.rate)
        self.optimizer.build(self.variables)

    def outputs(self, inputs: tf.Tensor) -> tf.Tensor:
        """Return float32 `[examples, asks, outputs]`."""
        h = run_cell(self.cell, inputs, tf.ones(tf.shape(inputs)[:2], tf.bool))
        return self.answer(h[:, -self.task.asks :])

    def learn(self, inputs: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
        """Go one step; return the loss."""
        with tf.GradientTape() as tape:
            outputs = self.outputs(inputs)
            if self.task.measure == "error":
                losses = tf.square(outputs[..., 0] - targets)
            else:
                losses = tf.nn.sparse_softmax_cross_entropy_with_logits(targets, outputs)
            loss = tf.reduce_mean(losses)
        gradients = tape.gradient(loss, self.variables)
        clipped, _ = tf.clip_by_global_norm(gradients, 1.0)  # what explodes is no excuse
        self.optimizer.apply(clipped, self.variables)
        return loss

    def score(self, inputs: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
        """Return the mean squared error or the accuracy."""
        outputs = self.outputs(inputs)
        if self.task.measure == "error":
            return tf.reduce_mean(tf.square(outputs[..., 0] - targets))
        said = tf.argmax(outputs, axis=-1, output_type=tf.int32)
        return tf.reduce_mean(tf.cast(said == targets, tf.float32))


def attempt(trial: Trial) -> Outcome:
    """Train until the task is solved or the steps are spent."""
    start = time.monotonic()
    task = CLASSIC_TASKS[trial.task]
    keras.utils.set_random_seed(trial.seed)
    rng = np.random.default_rng([trial.seed, trial.length])
    held_out = task.make(np.random.default_rng(trial.length), HELD_OUT, trial.length, True)
    network = _Network(trial, task, held_out[0].shape[-1])
    before = _left(trial, network, held_out[0])
    learn, score_of = tf.function(network.learn), tf.function(network.score)
    score, step = float("nan"), 0
    while step < trial.steps and not (step and task.is_solved(score)):
        for _ in range(min(CHECK_EVERY, trial.steps - step)):
            inputs, targets = task.make(rng, trial.batch_size, trial.length, False)
            learn(tf.constant(inputs), tf.constant(targets))
            step += 1
        score = float(score_of(*map(tf.constant, held_out)))
    after = _left(trial, network, held_out[0])
    seconds = time.monotonic() - start
    return Outcome(score, task.is_solved(score), step, before, after, seconds)


def _left(trial: Trial, network: _Network, inputs: np.ndarray) -> float:
    """Return what is left at h_1, c_1 of a gradient of 1, of random direction, at h_T.

    As `pipelines.diagnostics.gradient_flow.measure` does, without the Jacobians, which take
    longer to build than a short task to learn.
    """
    directions = np.random.default_rng(trial.seed).normal(size=(MEASURED, trial.units))
    directions /= np.linalg.norm(directions, axis=-1, keepdims=True)
    some = tf.constant(inputs[:MEASURED])
    with tf.GradientTape(watch_accessed_variables=False) as tape, record_loops(tape) as loops:
        h = run_cell(network.cell, some, tf.ones(tf.shape(some)[:2], tf.bool))
        loss = tf.reduce_sum(tf.cast(directions, tf.float32) * h[:, -1])
    (gradients,) = state_gradients(tape, loss, loops)
    parts = [np.median(np.linalg.norm(part[0], axis=-1)) for part in gradients]
    return float(np.linalg.norm(parts))
