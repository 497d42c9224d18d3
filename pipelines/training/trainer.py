"""The training loop: steps, checkpoints, validation by real decoding.

A run can be killed at any moment. All state is in one checkpoint: weights, optimizer, averages,
the dropout generators, the step, and (as JSON) the history. The order of batches is a function of
(seed, epoch), so the same command ends in the same weights.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import math
import time
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from data.common.errors import UserError
from data.common.progress import progress
from models.encoder_head import EncoderHead
from pipelines.config.config import Config
from pipelines.config.monitor import LOSS, rank
from pipelines.config.stored_runs import write_history
from pipelines.inputs.batches import Batch, Timed
from pipelines.runtime import cluster
from pipelines.training import distribution
from pipelines.training.gradient_norms import generator_states, gradient_flow_norms
from pipelines.training.step import Step

LOG_EVERY = 50  # steps
ESTIMATE_AFTER = 20  # steps
LONG_WAIT = 0.25  # share of an epoch spent waiting for batches: worth a line on the screen
SAVE_EVERY = 60.0  # seconds

Batches = Callable[[int, int], Iterable[Batch]]
Validate = Callable[[int], Mapping[str, float]]


class Trainer:
    """Trains a model until its validation score stops rising."""

    def __init__(
        self,
        model: EncoderHead,
        config: Config,
        run_dir: Path,
        steps_per_epoch: int,
        strategy: tf.distribute.Strategy | None = None,
    ) -> None:
        """Build the optimizers, and restore the newest checkpoint in `run_dir`, if any.

        The model is built in the scope of the strategy, None for one replica.

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
            seeds=generator_states(model),
            **({"backbone": model.backbone} if config.fine_tune_from is not None else {}),
            **self.step.tracked(),
            history=self.history_json,
        )
        self.manager = tf.train.CheckpointManager(
            self.checkpoint, str(run_dir / "checkpoints"), max_to_keep=2
        )
        self.best = tf.train.CheckpointManager(
            tf.train.Checkpoint(model=model), str(run_dir / "best"), max_to_keep=1
        )
        self._restore()
        self.writer = tf.summary.create_noop_writer()
        if self.chief:
            self.writer = tf.summary.create_file_writer(str(run_dir / "tensorboard"))
        self._last_save = 0.0
        self._first_epoch = len(self.history)  # of this process

    @property
    def history(self) -> list[dict[str, float]]:
        """The loss and the validation scores of each epoch that is over."""
        records: list[dict[str, float]] = json.loads(self.history_json.numpy())
        return records

    def fit(
        self,
        batches: Batches,
        validate: Validate,
        monitor: str,
        callbacks: Sequence[keras.callbacks.Callback] = (),
        first_epoch: int = 0,
    ) -> None:
        """Train from the last checkpoint to the end, and load the best weights.

        Args:
            batches: `(epoch, skip)` → that epoch's batches from number `skip` on.
            validate: epoch → the scores of the model, which then has the averaged weights.
            monitor: the score that selects the best epoch.
            callbacks: they may stop training after an epoch with `model.stop_training`.
            first_epoch: the number of the first epoch, for the callbacks.

        Raises:
            UserError: if a gradient is not finite.
        """
        called, stopped = self._callback_list(callbacks), False
        called.on_train_begin()
        while not (stopped or self._finished(monitor)):
            epoch = len(self.history)
            called.on_epoch_begin(first_epoch + epoch)
            first = self._train_epoch(epoch, batches, called)
            self.step.average.swap()
            with self.writer.as_default(step=int(self.step.count.numpy())):
                scores = distribution.all_reduce_mean(self.strategy, validate(epoch))
            record = {"epoch": epoch + 1, "loss": self._mean_loss(epoch), **scores}
            if all(rank(record, monitor) > rank(earlier, monitor) for earlier in self.history):
                self._save(self.best)
            called.on_epoch_end(first_epoch + epoch, _keras_logs(record))
            self.step.average.swap()
            self._log_epoch(record, first)
            self.history_json.assign(json.dumps([*self.history, record]))
            if self.chief:
                write_history(self.run_dir, self.history)
            self.step.loss_sum.assign(0.0)
            self._save(self.manager)
            stopped = bool(callbacks) and self._stopped()
        called.on_train_end()
        if len(self.history) < self.config.epochs and not stopped:
            patience = self.config.patience
            print(
                f"  early stopping: {monitor} has not improved for {patience} epochs (--patience)"
            )
        if self.chief:
            self.load_best()

    def load_best(self) -> None:
        """Load the averaged weights of the best epoch."""
        self.best.checkpoint.restore(self.best.latest_checkpoint).expect_partial()

    def _restore(self) -> None:
        """Restore the newest checkpoint, if any; all workers must find the same one."""
        if self.manager.latest_checkpoint:
            self.checkpoint.restore(self.manager.latest_checkpoint).assert_consumed()
        own = {"step": float(self.step.count.numpy())}
        if (mean := distribution.all_reduce_mean(self.strategy, own)) != own:
            raise UserError(
                f"the workers start at different steps ({own['step']:.0f} here, {mean['step']:g} "
                f"on average): --run-dir {self.run_dir} must be on a disk that all workers share"
            )

    def _finished(self, monitor: str) -> bool:
        scores = [rank(record, monitor) for record in self.history]
        if not scores:
            return False
        since_best = len(scores) - 1 - scores.index(max(scores))
        return len(scores) >= self.config.epochs or since_best >= self.config.patience

    def _callback_list(
        self, callbacks: Sequence[keras.callbacks.Callback]
    ) -> keras.callbacks.CallbackList:
        if callbacks:
            self.model.stop_training = False
            # Callbacks read the learning rate from it. Not an attribute that checkpoints follow.
            object.__setattr__(self.model, "optimizer", self.step.optimizer)
        return keras.callbacks.CallbackList(
            list(callbacks),
            model=self.model,
            epochs=self.config.epochs,
            steps=self.steps_per_epoch,
            verbose=0,
        )

    def _stopped(self) -> bool:
        """Return whether a callback of any worker has stopped training."""
        own = {"stopped": float(self.model.stop_training)}
        return distribution.all_reduce_mean(self.strategy, own)["stopped"] > 0

    def _train_epoch(
        self, epoch: int, batches: Batches, callbacks: keras.callbacks.CallbackList
    ) -> Batch | None:
        """Train on the batches of an epoch that are left; return the first of them."""
        first = None
        with contextlib.closing(self._remaining(epoch, batches)) as remaining:
            for batch in remaining:
                number = int(self.step.count.numpy()) - epoch * self.steps_per_epoch
                callbacks.on_train_batch_begin(number)
                loss = self._train_step(batch, epoch)
                callbacks.on_train_batch_end(number, {"loss": loss})
                self._save_after_a_while()
                first = first or batch
        return first

    def _remaining(self, epoch: int, batches: Batches) -> Generator[Batch, None, None]:
        """Yield the batches of an epoch that are not trained on yet, with a progress bar."""
        done = int(self.step.count.numpy()) - epoch * self.steps_per_epoch
        if done == self.steps_per_epoch:
            return
        self._last_save = time.monotonic()
        name = f"epoch {epoch + 1}/{self.config.epochs}"
        with progress(self.steps_per_epoch, name, "steps", initial=done) as bar:
            remaining = batches(epoch, done)
            self.step.trace(remaining, self.config.tunes(epoch))
            start, timed = time.perf_counter(), Timed(remaining)
            for number, batch in enumerate(timed, 1):
                yield batch
                bar.update()
                if number == ESTIMATE_AFTER and epoch == self._first_epoch:
                    bar.write(self._estimate((time.perf_counter() - start) / number))
                bar.set_postfix(loss=f"{self._mean_loss(epoch):.3f}", refresh=False)
        waited = timed.seconds / (time.perf_counter() - start)
        self._log({"train/input_wait": waited})
        if waited > LONG_WAIT:
            print(f"  training waited for its input {waited:.0%} of the time")

    def _estimate(self, seconds: float) -> str:
        """Return a line with the time of the steps that are left, from the time of one."""
        left = self.config.epochs * self.steps_per_epoch - int(self.step.count.numpy())
        time_left = datetime.timedelta(seconds=round(left * seconds))
        return f"  {seconds:.2g} s per step: at this speed, training takes at most {time_left} more"

    def _train_step(self, batch: Batch, epoch: int) -> float:
        """Update the weights once; return the loss."""
        number, fine_tune = int(self.step.count.numpy()) + 1, self.config.tunes(epoch)
        log = number % LOG_EVERY == 0 or number % self.steps_per_epoch == 0
        share = number / (self.config.epochs * self.steps_per_epoch)
        sampling = self.config.scheduled_sampling * share
        loss, norms = self.step.run(batch, fine_tune, sampling, log)
        self._check_finite(float(loss), norms["gradient"].numpy(), number, fine_tune)
        if log:
            learning_rate = float(self.step.optimizer.learning_rate)
            self._log({"train/loss": float(loss), "train/learning_rate": learning_rate})
            variables = self.step.variables(fine_tune)
            for kind, values in norms.items():
                for variable, value in zip(variables, values.numpy(), strict=True):
                    self._log({f"{kind} norm/{variable.path}": float(value)})
        return float(loss)

    def _check_finite(self, loss: float, norms: np.ndarray, number: int, fine_tune: bool) -> None:
        if math.isfinite(loss) and all(map(math.isfinite, norms)):
            return
        pairs = zip(self.step.variables(fine_tune), norms, strict=True)
        names = [variable.path for variable, norm in pairs if not math.isfinite(norm)]
        raise UserError(
            f"step {number}: the loss is {loss} and the gradient of {', '.join(names[:5])} is not "
            "finite. Lower --learning-rate or --clip-norm, or use --precision float32; the last "
            "checkpoint is from before this step."
        )

    def _mean_loss(self, epoch: int) -> float:
        steps = int(self.step.count.numpy()) - epoch * self.steps_per_epoch
        return float(self.step.loss_sum.numpy()) / max(1, steps)

    def _save(self, manager: tf.train.CheckpointManager) -> None:
        if self.chief:
            manager.save()

    def _save_after_a_while(self) -> None:
        if time.monotonic() - self._last_save > SAVE_EVERY:
            self._save(self.manager)
            self._last_save = time.monotonic()

    def _log_epoch(self, record: Mapping[str, float], first: Batch | None) -> None:
        """Log the record of an epoch, and the gradient flow on its first batch."""
        tags = {
            name.replace("val_", "val/", 1): value for name, value in _keras_logs(record).items()
        }
        self._log({"train/epoch_loss": tags.pop("loss"), **tags})
        if first is not None and self.strategy.num_replicas_in_sync == 1:
            self._log(gradient_flow_norms(self.model, first))

    def _log(self, values: Mapping[str, float]) -> None:
        """Log scalars at the present step."""
        with self.writer.as_default(step=int(self.step.count.numpy())):
            for name, value in values.items():
                tf.summary.scalar(name, value)


def _keras_logs(record: Mapping[str, float]) -> dict[str, float]:
    """Return the values of an epoch by the names that Keras gives them.

    >>> _keras_logs({"epoch": 3, "loss": 2.0, "val_loss": 2.5, "CIDEr-D": 40.0})
    {'loss': 2.0, 'val_loss': 2.5, 'val_cider-d': 40.0}
    """
    return {
        name if name in ("loss", LOSS) else f"val_{name.lower()}": value
        for name, value in record.items()
        if name != "epoch"
    }
