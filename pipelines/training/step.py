"""One step of training, in the graph: losses, gradients, weights, their average, and norms.

Under a strategy of `pipelines.training.distribution`, each replica has a part of every batch;
`accumulate`
cuts these parts further and takes one after the other, for batches that memory does not hold.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import tensorflow as tf

from models.layers.linear import matmul_precision
from pipelines.config.config import Config
from pipelines.training import distribution
from pipelines.training.optimizer import MovingAverage, adamw, precision


class Step:
    """Moves a model's weights once a batch.

    Attributes:
        own: the variables of encoder and head.
        tuned: those of the backbone, if it ever learns.
        optimizer: of `own`; `backbone_optimizer` of `tuned`.
        average: of all of them.
        count: steps taken, int64.
        loss_sum: of the epoch under way, float32.
    """

    def __init__(
        self,
        model: Any,
        config: Config,
        steps_per_epoch: int,
        strategy: tf.distribute.Strategy | None = None,
    ) -> None:
        """Build the optimizers.

        Args:
            model: an `EncoderHead`, made in the scope of the strategy.
            config: of the run.
            steps_per_epoch: the number of batches.
            strategy: see `pipelines.training.distribution`; None for one replica.
        """
        self.strategy = strategy or tf.distribute.get_strategy()
        self.model, self.config = model, config
        self.own = [*model.encoder.trainable_variables, *model.head.trainable_variables]
        tunes = config.fine_tune_from is not None
        self.tuned = list(model.backbone.trainable_variables) if tunes else []
        steps = config.epochs * steps_per_epoch
        tuned_epochs = max(1, config.epochs + 1 - (config.fine_tune_from or 1))
        with distribution.scope(self.strategy):
            self.optimizer = adamw(config, config.learning_rate, steps, config.weight_decay)
            self.optimizer.build(self.own)
            # What was learned elsewhere is not to be pulled towards nothing.
            decay = config.weight_decay if config.from_scratch else 0.0
            self.backbone_optimizer = adamw(
                config, config.fine_tune_learning_rate, tuned_epochs * steps_per_epoch, decay
            )
            self.backbone_optimizer.build(self.tuned)
        self.average = MovingAverage(self.own + self.tuned, config.ema_decay)
        self.count = tf.Variable(0, dtype=tf.int64)
        self.loss_sum = tf.Variable(0.0)
        self.precision = precision(config)
        self._functions: dict[bool, Any] = {}

    def tracked(self) -> dict[str, Any]:
        """Return what a checkpoint holds of it, by name."""
        return {
            "optimizer": self.optimizer,
            "backbone_optimizer": self.backbone_optimizer,
            "average": self.average,
            "steps": self.count,
            "loss_sum": self.loss_sum,
        }

    def variables(self, tune: bool) -> list[Any]:
        """Return what a step moves, with the backbone or without."""
        return self.own + (self.tuned if tune else [])

    def trace(self, batches: Iterable[tuple[Any, Any]], tune: bool) -> None:
        """Make the graph ready, if it is not: for all sizes at once where the batches tell theirs.

        Else it is traced for the first batch, and again for all that differ from it.
        """
        if tune in self._functions:
            return
        self._functions[tune] = compiled = self._compiled(tune)
        if isinstance(batches, tf.data.Dataset) and self.strategy.num_replicas_in_sync == 1:
            each = self.config.micro_batches
            part = (*batches.element_spec, None if each == 1 else tf.TensorSpec([]))
            scalars = tf.TensorSpec([]), tf.TensorSpec([], tf.bool)
            compiled.get_concrete_function([part] * each, *scalars)

    def take(
        self, batch: tuple[Any, Any], tune: bool, sampling: float, log: bool
    ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        """Move the weights once.

        Args:
            batch: inputs and targets.
            tune: whether the backbone learns; `trace` has been told so.
            sampling: share of input words taken from the model itself.
            log: whether the norms of weights and updates are wanted as well.

        Returns:
            The loss, and the norms "gradient", "weight" and "update" of each of
            `variables(tune)`, float32 `[variables]`.
        """
        step = self._functions[tune]
        return step(self._dealt(batch), tf.constant(sampling), tf.constant(log))

    def _compiled(self, tune: bool) -> Any:
        """Return the graph: parts, the share of sampled words, whether to log → loss and norms."""
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
        replicas, each = self.strategy.num_replicas_in_sync, self.config.micro_batches
        if replicas * each == 1:
            return [(*batch, None)]
        cut = distribution.parts(batch, replicas * each, self.model.head.target_weight)
        if replicas == 1:
            return cut

        def own(context: Any) -> Any:
            start = context.replica_id_in_sync_group * each
            return cut[start : start + each]

        return self.strategy.experimental_distribute_values_from_function(own)

    def _gradients(self, parts: Any, sampling: tf.Tensor, tune: bool) -> list[tf.Tensor]:
        """Return the loss and the gradient of each variable of a replica's parts."""
        variables, total = self.variables(tune), list[tf.Tensor]()
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
        variables = self.variables(tune)
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
        self.count.assign_add(1)
        self.loss_sum.assign_add(loss)
        self.average.update(self.count)
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


def _summed(found: list[tf.Tensor]) -> list[tf.Tensor]:
    """Return the sums over all replicas of what each has found."""
    summed: list[tf.Tensor] = tf.distribute.get_replica_context().all_reduce(
        tf.distribute.ReduceOp.SUM, [tf.identity(value) for value in found]
    )
    return summed


def _norms(tensors: list[tf.Tensor]) -> tf.Tensor:
    return tf.stack([tf.norm(tensor) for tensor in tensors])
