"""Features of the frames of a clip → Memory."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from models.layers.linear import Layer, Linear
from models.layers.rnn import Recurrent
from models.memory import Memory


@keras.saving.register_keras_serializable("wordreel")
class VideoEncoder(Layer):
    """The frames become the items of a memory, each with its context in time.

    The features x_t of each frame are projected, v_t = ReLU(W x_t + b), and fed in order to a
    `Recurrent` layer: its states h_t are the items, the final state of each direction the summary
    (Donahue et al. 2015; Venugopalan et al. 2015, S2VT).

    If a frame is a grid, v_tc = ReLU(W x_tc + b + p_c) for each cell c with position embedding p_c,
    v_t = ReLU(V [v_t1; …; v_tC]), and the items are the cells of all frames, U v_tc + h_t, so that
    attention selects both position and time (Xu et al. 2015; Yao et al. 2015).

    With `norm`, the features of a clip are centered on their mean over the frames and divided by
    their standard deviation, one number per clip: (x_t - x̄) / σ, as in cepstral mean normalization
    (Atal 1974). This removes what is constant, such as a face or a room.

    With `times`, a time embedding is added to the items, h_t + τ_t, where τ_t are sines and cosines
    of t (Vaswani et al. 2017). It helps with words that occur at a similar time in each clip.
    """

    def __init__(
        self,
        recurrent: Recurrent,
        *,
        motion: bool = False,
        norm: bool = False,
        times: bool = False,
        dropout: float = 0.5,
        **layer: Any,
    ) -> None:
        """Create an encoder.

        Args:
            recurrent: the layers, built here; the v_t have as many dimensions as their cells.
            motion: whether the differences x_t - x_{t-1} are concatenated to the x_t.
            norm: whether features are normalized per clip, before `motion`.
            times: whether the time embeddings τ_t are added.
            dropout: dropout rate of the v_t and of the outputs.
            layer: the arguments of `keras.layers.Layer`.
        """
        super().__init__(**{"autocast": False, **layer})  # features may be float16
        self.units, self.motion, self.norm, self.times = recurrent.units, motion, norm, times
        self.project = Linear(self.units, name="project", dtype=self.dtype_policy)
        self.recurrent = recurrent
        self.drop_frames = keras.layers.Dropout(dropout, dtype=self.dtype_policy)
        self.drop_outputs = keras.layers.Dropout(dropout, dtype=self.dtype_policy)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create the weights for `[batch, time, features]` or `[batch, time, cells, features]`."""
        features: Any = input_shape[-1]
        self.project.build((None, None, features * (1 + self.motion)))
        if not self.recurrent.built:
            self.recurrent.build((None, None, self.units))
        self.depth = self.recurrent.depth
        if len(input_shape) == 4:
            cells: Any = input_shape[2]
            self.place = self.add_weight(
                shape=(cells, self.units),
                initializer=keras.initializers.RandomNormal(stddev=0.1),
                name="place",
            )
            self.whole = Linear(
                self.units, activation="relu", name="whole", dtype=self.dtype_policy
            )
            self.whole.build((None, None, cells * self.units))
            self.item = Linear(self.depth, name="item", dtype=self.dtype_policy)
            self.item.build((None, None, self.units))
        self.built = True

    def call(
        self, frames: tf.Tensor, mask: tf.Tensor | None = None, training: bool = False
    ) -> Memory:
        """Encode a batch of clips.

        Args:
            frames: `[batch, time, features]` or `[batch, time, cells, features]`, any float type.
            mask: bool `[batch, time]`, false for the padding; None: no padding.
            training: whether to apply dropout.

        Returns:
            A Memory of `self.depth` with an item per frame, or per cell of a frame, in order of
            time; zero for padding.
        """
        frames = self.cast(frames)
        if mask is None:
            mask = tf.ones(tf.shape(frames)[:2], tf.bool)
        if self.norm:
            frames = _normalize(frames, mask)
        if self.motion:
            previous = tf.concat([frames[:, :1], frames[:, :-1]], axis=1)
            frames = tf.concat([frames, frames - previous], axis=-1)
        grid = frames.shape.rank == 4
        projected = self.project(frames)
        if grid:
            projected += self.cast(self.place)
        projected = self.drop_frames(tf.nn.relu(projected), training=training)
        real = self.cast(mask)[..., tf.newaxis]
        whole = self.whole(_join_cells(projected)) if grid else projected
        values, summary = self.recurrent(whole * real, mask, training=training)
        if self.times:
            values += self.cast(_time_embeddings(tf.shape(values)[1], self.depth))
        if grid:
            values = _flatten_cells(self.item(projected) + values[:, :, tf.newaxis])
            mask = tf.repeat(mask, tf.shape(projected)[2], axis=1)
            real = self.cast(mask)[..., tf.newaxis]
        values = self.drop_outputs(values, training=training) * real
        return Memory(values, mask, self.drop_outputs(summary, training=training))

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        own = {name: getattr(self, name) for name in ("motion", "norm", "times")}
        recurrent = keras.saving.serialize_keras_object(self.recurrent)
        own |= {"recurrent": recurrent, "dropout": self.drop_outputs.rate}
        return {**super().get_config(), **own}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> VideoEncoder:
        """Return the encoder of `get_config`."""
        recurrent = keras.saving.deserialize_keras_object(config["recurrent"])
        return cls(**{**config, "recurrent": recurrent})


def _join_cells(cells: tf.Tensor) -> tf.Tensor:
    """Reshape `[batch, time, cells, depth]` to `[batch, time, cells * depth]`."""
    batch, time, *_ = tf.unstack(tf.shape(cells))
    return tf.reshape(cells, [batch, time, cells.shape[2] * cells.shape[3]])


def _flatten_cells(cells: tf.Tensor) -> tf.Tensor:
    """Reshape `[batch, time, cells, depth]` to `[batch, time * cells, depth]`."""
    batch, time, count, _ = tf.unstack(tf.shape(cells))
    return tf.reshape(cells, [batch, time * count, cells.shape[3]])


def _normalize(frames: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
    """Return (x_t - x̄) / σ of each clip, `[batch, time, ...]`; 0 for padding."""
    real = tf.cast(mask, frames.dtype)
    real = tf.reshape(real, tf.concat([tf.shape(real), [1] * (frames.shape.rank - 2)], axis=0))
    count = tf.maximum(tf.reduce_sum(real, axis=1, keepdims=True), 1.0)
    mean = tf.reduce_sum(real * frames, axis=1, keepdims=True) / count
    centered = real * (frames - mean)
    axes = list(range(2, frames.shape.rank))
    square = tf.reduce_sum(tf.reduce_mean(centered**2, axes, True), axis=1, keepdims=True) / count
    return centered / tf.sqrt(square + 1e-6)


def _time_embeddings(steps: tf.Tensor, depth: int) -> tf.Tensor:
    """Return sinusoidal time embeddings, `[steps, depth]`, from -1 to 1."""
    half = (depth + 1) // 2
    rates = 10000.0 ** (-tf.range(half, dtype=tf.float32) / half)
    angles = tf.range(tf.cast(steps, tf.float32))[:, tf.newaxis] * rates
    return tf.concat([tf.sin(angles), tf.cos(angles)], axis=-1)[:, :depth]
