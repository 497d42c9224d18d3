"""Features of a clip's frames → Memory: recurrent layers over time, or the frames' mean."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from models.layers.linear import Linear
from models.layers.rnn import Recurrent
from models.memory import Memory


@keras.saving.register_keras_serializable(package="wordreel")
class VideoEncoder(keras.layers.Layer):
    """Frames become the items of a memory, each told what came before it.

    Each frame's features x_t are projected, v_t = ReLU(W x_t + b), and read in order by recurrent
    layers, one-way or bidirectional: their states h_t are the items, the state at the end of
    each way the summary (Donahue et al. 2015; Venugopalan et al. 2015, S2VT). Without any layer, the
    baseline,
    no order is known: the h_t are the v_t, the summary their mean.

    Where a frame is a grid, v_tc = ReLU(W x_tc + b + p_c) for each of its cells c and their place,
    v_t = ReLU(V [v_t1; …; v_tC]), and the items are the cells of all frames, U v_tc + h_t: what is
    there, and when. So attention finds both where and when (Xu et al. 2015; Yao et al. 2015).

    With `norm`, a clip's features are taken from their mean over its frames and divided by their
    deviation, one number for all: (x_t - x̄) / σ, as recognisers of speech do with theirs (Atal
    1974). What stays the same, a face or a room, is gone; what changes much still counts for more.

    With `times`, the items are told when they are: h_t + τ_t, where τ_t are sines and cosines of t
    (Vaswani et al. 2017). Words that come at much the same time in each clip are found by it, long
    before the recurrent layers have learned to count.
    """

    def __init__(
        self,
        *,
        cell: str = "lstm",
        units: int = 512,
        layers: int = 1,
        bidirectional: bool = False,
        motion: bool = False,
        norm: bool = False,
        times: bool = False,
        dropout: float = 0.5,
        **kwargs: Any,
    ) -> None:
        """Make an encoder.

        Args:
            cell: a name in `models.layers.cells.CELLS`.
            units: hidden units of each cell, and width of the v_t.
            layers: recurrent layers that stand upon each other; 0 for the mean.
            bidirectional: whether each reads backwards as well.
            motion: whether W sees x_t - x_{t-1} beside x_t: what moves is what differs.
            norm: whether features are taken from their mean, and scaled; before `motion` is seen.
            times: whether the τ_t are added.
            dropout: share of the values of the v_t and of the outputs dropped in training.
            kwargs: of `keras.layers.Layer`.
        """
        super().__init__(autocast=False, **kwargs)  # features may come as float16
        self.units, self.rate = units, dropout
        self.motion, self.norm, self.times = motion, norm, times
        self.project = Linear(units, name="project")
        self.recurrent = Recurrent(
            cell,
            units,
            layers=layers,
            bidirectional=bidirectional,
            dropout=dropout,
            name="recurrent",
        )
        self.drop_frames = keras.layers.Dropout(dropout)
        self.drop_outputs = keras.layers.Dropout(dropout)

    def build(self, features: int, cells: int | None = None) -> None:
        """Create the weights for features of `features` dimensions, of frames or of their cells."""
        self.project.build((None, None, features * (1 + self.motion)))
        self.recurrent.build((None, None, self.units))
        self.depth = self.recurrent.depth
        if cells is not None:
            self.place = self.add_weight(
                shape=(cells, self.units),
                initializer=keras.initializers.RandomNormal(stddev=0.1),
                name="place",
            )
            self.whole = Linear(self.units, activation="relu", name="whole")
            self.whole.build((None, None, cells * self.units))
            self.item = Linear(self.depth, name="item")
            self.item.build((None, None, self.units))
        self.built = True

    def call(self, frames: tf.Tensor, mask: tf.Tensor, training: bool = False) -> Memory:
        """Encode a batch of clips.

        Args:
            frames: `[batch, time, features]`, or `[batch, time, cells, features]`, of any float
                type.
            mask: bool `[batch, time]`, true where a frame is real; padding follows the frames.
            training: whether to drop out.

        Returns:
            A Memory of an item a frame, or a cell of a frame, those of the first frame first:
            values float32 `[batch, items, self.depth]`, zero where there is no frame; summary
            float32 `[batch, self.depth]`.
        """
        frames = tf.cast(frames, tf.float32)
        if self.norm:
            frames = _from_mean(frames, mask)
        if self.motion:
            before = tf.concat([frames[:, :1], frames[:, :-1]], axis=1)
            frames = tf.concat([frames, frames - before], axis=-1)
        grid = frames.shape.rank == 4
        seen = self.project(frames)
        seen = self.drop_frames(tf.nn.relu(seen + self.place if grid else seen), training=training)
        real = tf.cast(mask, tf.float32)[..., tf.newaxis]
        whole = self.whole(_beside(seen)) if grid else seen
        values, summary = self.recurrent(whole * real, mask, training=training)
        if self.times:
            values += _times(tf.shape(values)[1], self.depth)
        if grid:
            values = _behind(self.item(seen) + values[:, :, tf.newaxis])
            mask = tf.repeat(mask, tf.shape(seen)[2], axis=1)
            real = tf.cast(mask, tf.float32)[..., tf.newaxis]
        values = self.drop_outputs(values, training=training) * real
        return Memory(values, mask, self.drop_outputs(summary, training=training))

    def get_config(self) -> dict[str, Any]:
        """Return what `from_config` needs."""
        recurrent = self.recurrent
        return {
            **super().get_config(),
            "cell": recurrent.cell,
            "units": self.units,
            "layers": recurrent.layers,
            "bidirectional": recurrent.bidirectional,
            "motion": self.motion,
            "norm": self.norm,
            "times": self.times,
            "dropout": self.rate,
        }


def _beside(cells: tf.Tensor) -> tf.Tensor:
    """Turn `[batch, time, cells, depth]` into `[batch, time, cells * depth]`."""
    batch, time, *_ = tf.unstack(tf.shape(cells))
    return tf.reshape(cells, [batch, time, cells.shape[2] * cells.shape[3]])


def _behind(cells: tf.Tensor) -> tf.Tensor:
    """Turn `[batch, time, cells, depth]` into `[batch, time * cells, depth]`."""
    batch, time, count, _ = tf.unstack(tf.shape(cells))
    return tf.reshape(cells, [batch, time * count, cells.shape[3]])


def _from_mean(frames: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
    """Return (x_t - x̄) / σ of each clip, `[batch, time, ...]`; 0 where there is no frame."""
    real = tf.cast(mask, tf.float32)
    real = tf.reshape(real, tf.concat([tf.shape(real), [1] * (frames.shape.rank - 2)], axis=0))
    count = tf.maximum(tf.reduce_sum(real, axis=1, keepdims=True), 1.0)
    mean = tf.reduce_sum(real * frames, axis=1, keepdims=True) / count
    moved = real * (frames - mean)
    each = list(range(2, frames.shape.rank))
    square = tf.reduce_sum(tf.reduce_mean(moved**2, each, True), axis=1, keepdims=True) / count
    return moved / tf.sqrt(square + 1e-6)


def _times(steps: tf.Tensor, depth: int) -> tf.Tensor:
    """Return what each step is told of its time, `[steps, depth]`, from -1 to 1."""
    half = (depth + 1) // 2
    rates = 10000.0 ** (-tf.range(half, dtype=tf.float32) / half)
    angles = tf.range(tf.cast(steps, tf.float32))[:, tf.newaxis] * rates
    return tf.concat([tf.sin(angles), tf.cos(angles)], axis=-1)[:, :depth]
