"""The training loop: one step in the graph, checkpoints, validation by real decoding.

A run can be killed at any moment. Everything that changes lies in one checkpoint: weights,
optimizer, averages, the dropout generators, the step, and (as JSON) the history. The order of
batches is a function of (seed, epoch), so the same command ends in the same weights.

Under a strategy of `pipelines.distribution`, each replica has a part of every batch; `accumulate`
cuts these parts further and takes one after the other, for batches that memory does not hold.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import tensorflow as tf

from data.errors import UserError
from data.progress import progress
from models.linear import matmul_precision
from pipelines import cluster, distribution
from pipelines.config import Config
from pipelines.flow_norms import flow_norms, seeds
from pipelines.input import Timed
from pipelines.optimization import MovingAverage, adamw, precision

LOG_EVERY = 50  # steps
LONG_WAIT = 0.25  # of an epoch, for its batches: worth a line on the screen
SAVE_EVERY = 60.0  # seconds

Batches = Callable[[int, int], Iterable[tuple[Any, Any]]]
Validate = Callable[[], dict[str, float]]


class Trainer:
    """Trains a model until its validation score stops rising.

    Attributes:
        history: one dictionary an epoch: loss, seconds, and the validation scores.
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
            strategy: see `pipelines.distribution`; None for one replica.

        Raises:
            UserError: if the workers of a cluster do not find the same checkpoint.
        """
        self.strategy = strategy or tf.distribute.get_strategy()
        self.chief = cluster.read().chief
        self.model, self.config, self.run_dir = model, config, run_dir
        self.steps_per_epoch = steps_per_epoch
        self.own = [*model.encoder.trainable_variables, *model.head.trainable_variables]
        tuned = config.fine_tune_from is not None
        self.tuned = list(model.backbone.trainable_variables) if tuned else []
        steps = config.epochs * steps_per_epoch
        tuned_epochs = max(1, config.epochs + 1 - (config.fine_tune_from or 1))
        with distribution.scope(self.strategy):
            self.optimizer = adamw(config, config.learning_rate, steps, config.weight_decay)
            self.optimizer.build(self.own)
            # What was learned elsewhere is not to be pulled towards nothing.
            decay = config.weight_decay if config.from_scratch else 0.0
            self.backbone_optimizer = adamw(
                config, config.fine_tune_rate, tuned_epochs * steps_per_epoch, decay
            )
            self.backbone_optimizer.build(self.tuned)
        self.average = MovingAverage(self.own + self.tuned, config.ema)
        self.steps = tf.Variable(0, dtype=tf.int64)
        self.loss_sum = tf.Variable(0.0)  # of the epoch under way
        self.history_json = tf.Variable("[]")
        self.checkpoint = tf.train.Checkpoint(
            encoder=model.encoder,
            head=model.head,
            seeds=seeds(model),
            **({"backbone": model.backbone} if tuned else {}),
            optimizer=self.optimizer,
            backbone_optimizer=self.backbone_optimizer,
            average=self.average,
            steps=self.steps,
            loss_sum=self.loss_sum,
            history=self.history_json,
        )
        self.manager = tf.train.CheckpointManager(
            self.checkpoint, str(run_dir / "checkpoints"), max_to_keep=2
        )
        if self.manager.latest_checkpoint:
            self.checkpoint.restore(self.manager.latest_checkpoint).assert_consumed()
        found = {"step": float(self.steps.numpy())}
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
        self.precision = precision(config)
        self._functions: dict[bool, Any] = {}
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
            self.average.swap()
            scores = distribution.agreed(self.strategy, validate())
            record = {"epoch": epoch + 1, "loss": self._mean_loss(epoch), **scores}
            if all(record[monitor] > earlier[monitor] for earlier in self.history):
                self._save(self.best)
            self.average.swap()
            self._log(record, epoch + 1)
            if self._batch is not None and self.strategy.num_replicas_in_sync == 1:
                self._log(flow_norms(self.model, self._batch), epoch + 1)
                self._batch = None
            self.history_json.assign(json.dumps([*self.history, record]))
            self.loss_sum.assign(0.0)
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
        done = int(self.steps.numpy()) - epoch * self.steps_per_epoch
        if done == self.steps_per_epoch:
            return
        tune = self.config.tunes(epoch)
        saved = time.monotonic()
        name = f"epoch {epoch + 1}/{self.config.epochs}"
        with progress(self.steps_per_epoch, name, "steps", initial=done) as bar:
            found = batches(epoch, done)
            self.trace(found, tune)
            begun, timed = time.perf_counter(), Timed(found)
            for batch in timed:
                self._batch = self._batch or batch
                number = int(self.steps.numpy()) + 1
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
        sampling = tf.constant(self.config.scheduled_sampling * share)
        step = self._functions[tune]
        loss, norms = step(self._dealt(batch), sampling, tf.constant(log))
        self._check_finite(float(loss), norms["gradient"].numpy(), number, tune)
        if log:
            rate = float(self.optimizer.learning_rate)
            self._log({"loss of a step": float(loss), "rate": rate}, number)
            for kind, values in norms.items():
                for variable, value in zip(self._variables(tune), values.numpy(), strict=True):
                    self._log({f"{kind} norm/{variable.path}": float(value)}, number)

    def _variables(self, tune: bool) -> list[Any]:
        return self.own + (self.tuned if tune else [])

    def trace(self, batches: Iterable[tuple[Any, Any]], tune: bool) -> None:
        """Make the step ready, if it is not: for all sizes at once where the batches tell theirs.

        Else it is traced for the first batch, and again for all that differ from it.
        """
        if tune in self._functions:
            return
        self._functions[tune] = compiled = self._compiled(tune)
        if isinstance(batches, tf.data.Dataset) and self.strategy.num_replicas_in_sync == 1:
            each = self.config.accumulate
            part = (*batches.element_spec, None if each == 1 else tf.TensorSpec([]))
            scalars = tf.TensorSpec([]), tf.TensorSpec([], tf.bool)
            compiled.get_concrete_function([part] * each, *scalars)

    def _compiled(self, tune: bool) -> Any:
        """Return the step: parts, the share of sampled words, whether to log → loss and norms."""
        if self.strategy.num_replicas_in_sync == 1:

            def step(parts: Any, sampling: tf.Tensor, log: tf.Tensor) -> Any:
                return self._move(self._gradients(parts, sampling, tune), tune, log)

            return tf.function(step, reduce_retracing=True)
        # Graphs for new shapes are made when a worker meets them. So what workers do together is
        # a graph of its own, with shapes that are always the same.
        alone = tf.function(
            lambda parts, sampling: self.strategy.run(self._gradients, (parts, sampling, tune)),
            reduce_retracing=True,
        )

        @tf.function
        def together(found: list[Any], log: tf.Tensor) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
            with self.strategy.scope():
                summed = self.strategy.run(_summed, (found,))
                return self._move(distribution.first(self.strategy, summed), tune, log)

        return lambda parts, sampling, log: together(alone(parts, sampling), log)

    def _dealt(self, batch: tuple[Any, Any]) -> Any:
        """Return the parts of each replica: `(inputs, targets, share)`, whole without a share."""
        replicas, each = self.strategy.num_replicas_in_sync, self.config.accumulate
        if replicas * each == 1:
            return [(*batch, None)]
        cut = distribution.parts(batch, replicas * each, self.model.head.mass)
        if replicas == 1:
            return cut

        def own(context: Any) -> Any:
            start = context.replica_id_in_sync_group * each
            return cut[start : start + each]

        return self.strategy.experimental_distribute_values_from_function(own)

    def _gradients(self, parts: Any, sampling: tf.Tensor, tune: bool) -> list[tf.Tensor]:
        """Return the loss and the gradient of each variable of a replica's parts."""
        variables, total = self._variables(tune), list[tf.Tensor]()
        for inputs, targets, share in parts:
            # One part after the other: side by side they would need the memory of all.
            with (
                tf.control_dependencies(total),
                matmul_precision(self.precision),
                tf.GradientTape() as tape,
            ):
                loss = self.model.loss(
                    inputs,
                    targets,
                    tune_backbone=tune,
                    smoothing=self.config.label_smoothing,
                    **({"sampling": sampling} if self.config.scheduled_sampling else {}),
                )
                if share is not None:
                    loss *= share
            found = [loss, *(tf.convert_to_tensor(g) for g in tape.gradient(loss, variables))]
            total = [a + b for a, b in zip(total, found, strict=True)] if total else found
        return total

    def _move(
        self, found: list[tf.Tensor], tune: bool, log: tf.Tensor
    ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        """Move the weights once; return the loss and the norms of each variable, most if asked."""
        variables = self._variables(tune)
        loss, *gradients = found
        norms = _norms(gradients)
        before = tf.cond(
            log,
            lambda: [tf.identity(v.value) for v in variables],
            lambda: [tf.zeros([0]) for _ in variables],
        )
        clipped, _ = tf.clip_by_global_norm(gradients, self.config.clip_norm, tf.norm(norms))
        own = len(self.own)
        self._apply(self.optimizer, clipped[:own], self.own)
        if tune:
            self._apply(self.backbone_optimizer, clipped[own:], self.tuned)
        self.steps.assign_add(1)
        self.loss_sum.assign_add(loss)
        self.average.update(self.steps)
        values = [v.value for v in variables]
        weight, update = tf.cond(
            log,
            lambda: (_norms(values), _norms([a - b for a, b in zip(values, before, strict=True)])),
            lambda: (tf.zeros_like(norms), tf.zeros_like(norms)),
        )
        return loss, {"gradient": norms, "weight": weight, "update": update}

    def _apply(self, optimizer: Any, gradients: list[tf.Tensor], variables: list[Any]) -> None:
        replicas = self.strategy.num_replicas_in_sync
        if replicas == 1:
            optimizer.apply(gradients, variables)
            return
        # Keras sums over the replicas, which all have the same.
        self.strategy.run(
            lambda own: optimizer.apply([each / replicas for each in own], variables), (gradients,)
        )

    def _check_finite(self, loss: float, norms: Any, number: int, tune: bool) -> None:
        if math.isfinite(loss) and all(map(math.isfinite, norms)):
            return
        pairs = zip(self._variables(tune), norms, strict=True)
        names = [variable.path for variable, norm in pairs if not math.isfinite(norm)]
        raise UserError(
            f"step {number}: the loss is {loss} and the gradient of {', '.join(names[:5])} is not "
            "finite. Lower --learning-rate or --clip-norm, or use --precision float32; the last "
            "checkpoint is from before this step."
        )

    def _mean_loss(self, epoch: int) -> float:
        steps = int(self.steps.numpy()) - epoch * self.steps_per_epoch
        return float(self.loss_sum.numpy()) / max(1, steps)

    def _log(self, values: dict[str, float], step: int) -> None:
        with self.writer.as_default(step=step):
            for name, value in values.items():
                tf.summary.scalar(name, value)


def _summed(found: list[tf.Tensor]) -> list[tf.Tensor]:
    """Return the sums over all replicas of what each has found."""
    summed: list[tf.Tensor] = tf.distribute.get_replica_context().all_reduce(
        tf.distribute.ReduceOp.SUM, [tf.identity(value) for value in found]
    )
    return summed


def _norms(tensors: list[tf.Tensor]) -> tf.Tensor:
    return tf.stack([tf.norm(tensor) for tensor in tensors])
