"""Train one cell on one task at one length; measure its score and its gradient."""

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
from pipelines.diagnostics.rnn_tasks import RNN_TASKS, RNNTask

CHECK_EVERY = 100  # training steps
HELD_OUT = 500  # examples for the score
MEASURED = 4  # sequences for the gradient


@dataclasses.dataclass(frozen=True)
class Trial:
    """The configuration of one training run with Adam, which determines its result."""

    task: str
    length: int
    cell: str
    seed: int
    units: int
    steps: int  # at most
    batch_size: int
    learning_rate: float


@dataclasses.dataclass(frozen=True)
class Outcome:
    """The result of a trial."""

    score: float  # mean squared error or accuracy on held-out examples
    solved: bool
    steps_taken: int  # until the task was solved, or all
    gradient_before: float  # norm at the first step, for 1 at the last, before training
    gradient_after: float  # the same after training
    seconds: float


class _Network:
    """A cell over the sequence, and an output at the last steps: y = W_hy h + b."""

    def __init__(self, trial: Trial, task: RNNTask, depth: int) -> None:
        self.task = task
        self.cell = CELLS[trial.cell](trial.units)
        self.cell.build((None, depth))
        self.answer = Linear(task.outputs)
        self.answer.build((None, trial.units))
        self.variables = [*self.cell.trainable_variables, *self.answer.trainable_variables]
        self.optimizer = keras.optimizers.Adam(trial.learning_rate)
        self.optimizer.build(self.variables)

    def evaluate(self, inputs: tf.Tensor, targets: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Return the loss and the score, which is the loss or the accuracy."""
        h = run_cell(self.cell, inputs, tf.ones(tf.shape(inputs)[:2], tf.bool))
        outputs = self.answer(h[:, -self.task.answer_steps :])
        if self.task.metric == "error":
            error = tf.reduce_mean(tf.square(outputs[..., 0] - targets))
            return error, error
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(targets, outputs)
        predictions = tf.argmax(outputs, axis=-1, output_type=tf.int32)
        return tf.reduce_mean(losses), tf.reduce_mean(tf.cast(predictions == targets, tf.float32))

    def train_step(self, inputs: tf.Tensor, targets: tf.Tensor) -> None:
        with tf.GradientTape() as tape:
            loss, _ = self.evaluate(inputs, targets)
        gradients = tape.gradient(loss, self.variables)
        clipped, _ = tf.clip_by_global_norm(gradients, 1.0)  # against exploding gradients
        self.optimizer.apply(clipped, self.variables)


def run_trial(trial: Trial) -> Outcome:
    """Train until the task is solved or the maximum number of steps is reached."""
    start = time.monotonic()
    task = RNN_TASKS[trial.task]
    keras.utils.set_random_seed(trial.seed)
    rng = np.random.default_rng([trial.seed, trial.length])
    held_out = task.make(np.random.default_rng(trial.length), HELD_OUT, trial.length, True)
    network = _Network(trial, task, held_out[0].shape[-1])
    gradient_before = _remaining_gradient(trial, network, held_out[0])
    train_step, evaluate = (
        tf.function(each, autograph=False) for each in (network.train_step, network.evaluate)
    )
    score, step = float("nan"), 0
    while step < trial.steps and not (step and task.is_solved(score)):
        for _ in range(min(CHECK_EVERY, trial.steps - step)):
            inputs, targets = task.make(rng, trial.batch_size, trial.length, False)
            train_step(tf.constant(inputs), tf.constant(targets))
            step += 1
        score = float(evaluate(*map(tf.constant, held_out))[1])
    gradient_after = _remaining_gradient(trial, network, held_out[0])
    seconds = time.monotonic() - start
    return Outcome(score, task.is_solved(score), step, gradient_before, gradient_after, seconds)


def _remaining_gradient(trial: Trial, network: _Network, inputs: np.ndarray) -> float:
    """Return the norm of the gradient at h_1, c_1 for a random one of norm 1 at h_T.

    The result of `gradient_flow.measure_gradient_flow`, without the Jacobians, which take longer
    than training on a short task.
    """
    directions = np.random.default_rng(trial.seed).normal(size=(MEASURED, trial.units))
    directions /= np.linalg.norm(directions, axis=-1, keepdims=True)
    few = tf.constant(inputs[:MEASURED])
    with tf.GradientTape(watch_accessed_variables=False) as tape, record_loops(tape) as loops:
        h = run_cell(network.cell, few, tf.ones(tf.shape(few)[:2], tf.bool))
        loss = tf.reduce_sum(tf.cast(directions, tf.float32) * h[:, -1])
    (gradients,) = state_gradients(tape, loss, loops)
    parts = [np.median(np.linalg.norm(part[0], axis=-1)) for part in gradients]
    return float(np.linalg.norm(parts))
