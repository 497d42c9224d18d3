"""One training step in the graph: loss, gradients, weight update, moving average, and norms.

Under a strategy of `pipelines.training.distribution`, each replica computes a part of every batch;
`--micro-batches` splits these parts further and computes one after the other, for batches that do
not fit into memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import keras
import tensorflow as tf

from models.encoder_head import EncoderHead
from models.layers.linear import use_policy
from pipelines.config.config import Config
from pipelines.inputs.batches import Batch
from pipelines.training import distribution
from pipelines.training.optimizer import MovingAverage, adamw, training_policy

Part = tuple[tf.Tensor, tf.Tensor, tf.Tensor | None]  # inputs, targets, share of the batch
Result = tuple[tf.Tensor, dict[str, tf.Tensor]]  # the loss, and norms by name


class Step:
    """Updates a model's weights, one batch at a time.

    Attributes:
        average: of all variables.
        count: steps taken, int64.
        loss_sum: of the current epoch, float32.
    """

    def __init__(
        self,
        model: EncoderHead,
        config: Config,
        steps_per_epoch: int,
        strategy: tf.distribute.Strategy | None = None,
    ) -> None:
        """Build the optimizers; the arguments are those of `Trainer`."""
        self.strategy = strategy or tf.distribute.get_strategy()
        self.model, self.config = model, config
        self.head_variables = [*model.encoder.trainable_variables, *model.head.trainable_variables]
        backbone: keras.Model = model.backbone
        fine_tunes = config.fine_tune_from is not None
        self.backbone_variables = list(backbone.trainable_variables) if fine_tunes else []
        with distribution.scope(self.strategy):
            self.optimizer = adamw(
                config.learning_rate,
                config.epochs * steps_per_epoch,
                warmup_steps=config.warmup_steps,
                weight_decay=config.weight_decay,
                decay_positions=not config.position_init,
            )
            self.optimizer.build(self.head_variables)
            self.backbone_optimizer = adamw(
                config.fine_tune_learning_rate,
                max(1, config.epochs + 1 - (config.fine_tune_from or 1)) * steps_per_epoch,
                warmup_steps=config.warmup_steps,
                # Pretrained weights should not decay to zero.
                weight_decay=config.weight_decay if config.from_scratch else 0.0,
                decay_positions=not config.position_init,
            )
            self.backbone_optimizer.build(self.backbone_variables)
        self.average = MovingAverage(
            self.head_variables + self.backbone_variables, config.ema_decay
        )
        self.count = tf.Variable(0, dtype=tf.int64)
        self.loss_sum = tf.Variable(0.0)
        self.policy = training_policy(config.precision)
        self._functions: dict[bool, tf.types.experimental.PolymorphicFunction] = {}

    def tracked(self) -> dict[str, tf.Module | tf.Variable | keras.optimizers.Optimizer]:
        """Return the state that a checkpoint stores, by name."""
        return {
            "optimizer": self.optimizer,
            "backbone_optimizer": self.backbone_optimizer,
            "average": self.average,
            "steps": self.count,
            "loss_sum": self.loss_sum,
        }

    def variables(self, fine_tune: bool) -> list[keras.Variable]:
        """Return the variables that a step updates, with the backbone or without."""
        return self.head_variables + (self.backbone_variables if fine_tune else [])

    def trace(self, batches: Iterable[Batch], fine_tune: bool) -> None:
        """Build the graph, if it is not built yet: for all sizes if the batches declare a spec."""
        if fine_tune in self._functions:
            return
        self._functions[fine_tune] = compiled = self._compile(fine_tune)
        if isinstance(batches, tf.data.Dataset) and self.strategy.num_replicas_in_sync == 1:
            count = self.config.micro_batches
            part = (*batches.element_spec, None if count == 1 else tf.TensorSpec([]))
            scalars = tf.TensorSpec([]), tf.TensorSpec([], tf.bool)
            compiled.get_concrete_function([part] * count, *scalars)

    def run(self, batch: Batch, fine_tune: bool, sampling: float, log: bool) -> Result:
        """Update the weights once, after a call of `trace`.

        Args:
            batch: inputs and targets.
            fine_tune: whether the backbone is trained.
            sampling: share of input words sampled from the model.
            log: whether to compute the norms of weights and updates as well.

        Returns:
            The loss, and the norms "gradient", "weight" and "update", float32 `[variables]`.
        """
        function = self._functions[fine_tune]
        return function(self._split(batch), tf.constant(sampling), tf.constant(log))

    def _compile(self, fine_tune: bool) -> tf.types.experimental.PolymorphicFunction:
        """Return the graph: parts, the share of sampled words, whether to log → loss and norms."""
        if self.strategy.num_replicas_in_sync == 1:

            def step(parts: Sequence[Part], sampling: tf.Tensor, log: tf.Tensor) -> Result:
                return self._update(self._gradients(parts, sampling, fine_tune), fine_tune, log)

            return tf.function(step, reduce_retracing=True, autograph=False)
        # A worker traces new shapes when they occur. So the part in which workers communicate is
        # a graph of its own, whose shapes never change.
        compute = tf.function(
            lambda parts, sampling: self.strategy.run(
                self._gradients, (parts, sampling, fine_tune)
            ),
            reduce_retracing=True,
            autograph=False,
        )

        @tf.function(autograph=False)
        def update(gradients: list[tf.Tensor], log: tf.Tensor) -> Result:
            with self.strategy.scope():
                summed = self.strategy.run(_sum_over_replicas, (gradients,))
                local = distribution.local_value(self.strategy, summed)
                return self._update(local, fine_tune, log)

        return lambda parts, sampling, log: update(compute(parts, sampling), log)

    def _split(self, batch: Batch) -> Sequence[Part]:
        """Return the parts of each replica; a whole batch has no share."""
        replicas, count = self.strategy.num_replicas_in_sync, self.config.micro_batches
        if replicas * count == 1:
            return [(*batch, None)]
        parts = distribution.split_batch(batch, replicas * count, self.model.head.target_weight)
        if replicas == 1:
            return parts

        def own(context: tf.distribute.ValueContext) -> Sequence[Part]:
            start = context.replica_id_in_sync_group * count
            return parts[start : start + count]

        return self.strategy.experimental_distribute_values_from_function(own)

    def _gradients(
        self, parts: Sequence[Part], sampling: tf.Tensor, fine_tune: bool
    ) -> list[tf.Tensor]:
        """Return the loss and the gradient of each variable, of a replica's parts."""
        variables, total = self.variables(fine_tune), list[tf.Tensor]()
        for inputs, targets, share in parts:
            # One part after the other: in parallel they would need the memory of all.
            with (
                tf.control_dependencies(total),
                use_policy(self.model, self.policy),
                tf.GradientTape() as tape,
            ):
                loss = self.model.training_loss(
                    inputs,
                    targets,
                    tune_backbone=fine_tune,
                    smoothing=self.config.label_smoothing,
                    **({"sampling": sampling} if self.config.scheduled_sampling else {}),
                )
                if share is not None:
                    loss *= share
            own = [loss, *(tf.convert_to_tensor(g) for g in tape.gradient(loss, variables))]
            total = [a + b for a, b in zip(total, own, strict=True)] if total else own
        return total

    def _update(
        self, loss_and_gradients: list[tf.Tensor], fine_tune: bool, log: tf.Tensor
    ) -> Result:
        """Update the weights once; weight and update norms are 0 unless `log`."""
        variables = self.variables(fine_tune)
        loss, *gradients = loss_and_gradients
        norms = _norms(gradients)
        before = tf.cond(
            log,
            lambda: [tf.identity(v.value) for v in variables],
            lambda: [tf.zeros([0]) for _ in variables],
        )
        clipped, _ = tf.clip_by_global_norm(gradients, self.config.clip_norm, tf.norm(norms))
        count = len(self.head_variables)
        self._apply(self.optimizer, clipped[:count], self.head_variables)
        if fine_tune:
            self._apply(self.backbone_optimizer, clipped[count:], self.backbone_variables)
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

    def _apply(
        self,
        optimizer: keras.optimizers.Optimizer,
        gradients: list[tf.Tensor],
        variables: list[keras.Variable],
    ) -> None:
        replicas = self.strategy.num_replicas_in_sync
        if replicas == 1:
            optimizer.apply(gradients, variables)
            return
        # Keras sums the gradients over the replicas; here all have the same.
        self.strategy.run(
            lambda own: optimizer.apply([each / replicas for each in own], variables), (gradients,)
        )


def _sum_over_replicas(values: list[tf.Tensor]) -> list[tf.Tensor]:
    """Return the sum over all replicas of each value."""
    summed: list[tf.Tensor] = tf.distribute.get_replica_context().all_reduce(
        tf.distribute.ReduceOp.SUM, [tf.identity(value) for value in values]
    )
    return summed


def _norms(tensors: list[tf.Tensor]) -> tf.Tensor:
    return tf.stack([tf.norm(tensor) for tensor in tensors])
