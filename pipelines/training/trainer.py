"""The training loop: steps, checkpoints, validation by real decoding.

A run can be killed at any moment. Everything that changes lies in one checkpoint: weights,
optimizer, averages, the dropout generators, the step, and (as JSON) the history. The order of
batches is a function of (seed, epoch), so the same command ends in the same weights.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import tensorflow as tf

from data.common.errors import UserError
from data.common.progress import progress
from pipelines.config.config import Config
from pipelines.inputs.batches import Timed
from pipelines.runtime import cluster
from pipelines.training import distribution
from pipelines.training.gradient_norms import flow_norms, seeds
from pipelines.training.step import Step

LOG_EVERY = 50  # steps
LONG_WAIT = 0.25  # of an epoch, for its batches: worth a line on the screen
SAVE_EVERY = 60.0  # seconds

Batches = Callable[[int, int], Iterable[tuple[Any, Any]]]
Validate = Callable[[], dict[str, float]]


class Trainer:
    """Trains a model until its validation score stops rising.

    Attributes:
        step: what moves the weights.
        history: one dictionary an epoch: loss and the validation scores.
    """

    def __init__(
        self,
        model: Any,
        config: Config,
        run_dir: Path,
        steps_per_epoch: int,
        strategy: tf.distribute.Strategy | None = None,
    ) -> None:
        """Build the optimizers and take up the newest checkpoint in `run_dir`, if any.

        Args:
            model: an `EncoderHead`, made in the scope of the strategy.
            config: of the run.
            run_dir: where its files go; only the chief of a cluster writes.
            steps_per_epoch: the number of batches.
            strategy: see `pipelines.training.distribution`; None for one replica.

        Raises:
            UserError: if the workers of a cluster do not find the same checkpoint.
        """
        self.step = Step(model, config, steps_per_epoch, strategy)
        self.strategy = self.step.strategy
        self.chief = cluster.read().chief
        self.model, self.config, self.run_dir = model, config, run_dir
        self.steps_per_epoch = steps_per_epoch
        self.history_json = tf.Variable("[]")
        self.checkpoint = tf.train.Checkpoint(
            encoder=model.encoder,
            head=model.head,
            seeds=seeds(model),
            **({"backbone": model.backbone} if config.fine_tune_from is not None else {}),
            **self.step.tracked(),
            history=self.history_json,
        )
        self.manager = tf.train.CheckpointManager(
            self.checkpoint, str(run_dir / "checkpoints"), max_to_keep=2
        )
        if self.manager.latest_checkpoint:
            self.checkpoint.restore(self.manager.latest_checkpoint).assert_consumed()
        found = {"step": float(self.step.count.numpy())}
        if (mean := distribution.agreed(self.strategy, found)) != found:
            raise UserError(
                f"the workers begin at different steps ({found['step']:.0f} here, "
                f"{mean['step']:g} on average): is --run-dir {run_dir} on a disk that all share?"
            )
        self.best = tf.train.CheckpointManager(
            tf.train.Checkpoint(model=model), str(run_dir / "best"), max_to_keep=1
        )
        self.writer = tf.summary.create_noop_writer()
        if self.chief:
            self.writer = tf.summary.create_file_writer(str(run_dir / "tensorboard"))
        self._batch: Any = None  # one of the epoch, for its gradient flow

    @property
    def history(self) -> list[dict[str, float]]:
        """Return a record of each epoch that is over."""
        records: list[dict[str, float]] = json.loads(self.history_json.numpy())
        return records

    def fit(self, batches: Batches, validate: Validate, monitor: str) -> None:
        """Train to the end, from wherever the run is, and load the best weights.

        Args:
            batches: `(epoch, skip)` → that epoch's batches from number `skip` on.
            validate: scores the model as it is; called with averaged weights.
            monitor: the score that decides which epoch is best.

        Raises:
            UserError: if a gradient is not finite.
        """
        while not self._finished(monitor):
            epoch = len(self.history)
            self._train_epoch(epoch, batches)
            self.step.average.swap()
            scores = distribution.agreed(self.strategy, validate())
            record = {"epoch": epoch + 1, "loss": self._mean_loss(epoch), **scores}
            if all(record[monitor] > earlier[monitor] for earlier in self.history):
                self._save(self.best)
            self.step.average.swap()
            self._log(record, epoch + 1)
            if self._batch is not None and self.strategy.num_replicas_in_sync == 1:
                self._log(flow_norms(self.model, self._batch), epoch + 1)
                self._batch = None
            self.history_json.assign(json.dumps([*self.history, record]))
            self.step.loss_sum.assign(0.0)
            self._save(self.manager)
        if self.chief:
            self.load_best()

    def _save(self, manager: tf.train.CheckpointManager) -> None:
        """Let the chief write; what others have is the same."""
        if self.chief:
            manager.save()

    def load_best(self) -> None:
        """Load the averaged weights of the best epoch."""
        self.best.checkpoint.restore(self.best.latest_checkpoint).expect_partial()

    def _finished(self, monitor: str) -> bool:
        scores = [record[monitor] for record in self.history]
        if not scores:
            return False
        since_best = len(scores) - 1 - scores.index(max(scores))
        return len(scores) >= self.config.epochs or since_best >= self.config.patience

    def _train_epoch(self, epoch: int, batches: Batches) -> None:
        done = int(self.step.count.numpy()) - epoch * self.steps_per_epoch
        if done == self.steps_per_epoch:
            return
        tune = self.config.tunes(epoch)
        saved = time.monotonic()
        name = f"epoch {epoch + 1}/{self.config.epochs}"
        with progress(self.steps_per_epoch, name, "steps", initial=done) as bar:
            found = batches(epoch, done)
            self.step.trace(found, tune)
            begun, timed = time.perf_counter(), Timed(found)
            for batch in timed:
                self._batch = self._batch or batch
                number = int(self.step.count.numpy()) + 1
                self._train_step(batch, tune, number)
                bar.update()
                bar.set_postfix(loss=f"{self._mean_loss(epoch):.3f}", refresh=False)
                if time.monotonic() - saved > SAVE_EVERY:
                    self._save(self.manager)
                    saved = time.monotonic()
        waited = timed.seconds / (time.perf_counter() - begun)
        self._log({"share of the time waited for input": waited}, epoch + 1)
        if waited > LONG_WAIT:
            print(f"  training waited for its input {waited:.0%} of the time")

    def _train_step(self, batch: tuple[Any, Any], tune: bool, number: int) -> None:
        log = number % LOG_EVERY == 0
        share = number / (self.config.epochs * self.steps_per_epoch)
        loss, norms = self.step.take(batch, tune, self.config.scheduled_sampling * share, log)
        self._check_finite(float(loss), norms["gradient"].numpy(), number, tune)
        if log:
            rate = float(self.step.optimizer.learning_rate)
            self._log({"loss of a step": float(loss), "rate": rate}, number)
            for kind, values in norms.items():
                for variable, value in zip(self.step.variables(tune), values.numpy(), strict=True):
                    self._log({f"{kind} norm/{variable.path}": float(value)}, number)

    def _check_finite(self, loss: float, norms: Any, number: int, tune: bool) -> None:
        if math.isfinite(loss) and all(map(math.isfinite, norms)):
            return
        pairs = zip(self.step.variables(tune), norms, strict=True)
        names = [variable.path for variable, norm in pairs if not math.isfinite(norm)]
        raise UserError(
            f"step {number}: the loss is {loss} and the gradient of {', '.join(names[:5])} is not "
            "finite. Lower --learning-rate or --clip-norm, or use --precision float32; the last "
            "checkpoint is from before this step."
        )

    def _mean_loss(self, epoch: int) -> float:
        steps = int(self.step.count.numpy()) - epoch * self.steps_per_epoch
        return float(self.step.loss_sum.numpy()) / max(1, steps)

    def _log(self, values: dict[str, float], step: int) -> None:
        with self.writer.as_default(step=step):
            for name, value in values.items():
                tf.summary.scalar(name, value)
