"""From a model to a SavedModel: picture bytes in, sentences out, nothing but stock ops inside.

It needs neither Keras nor this project: any TensorFlow, and any server of SavedModels, runs it.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf

from data.errors import UserError
from data.vocabulary import Vocabulary
from models.decoding import Hypotheses, SearchOptions, beam_search, greedy, sample
from models.search import END, PAD
from pipelines.picture_bytes import decode_or_flag
from pipelines.saved_model import write_version

# What each signature takes; in assets.extra/wordreel.json for whoever meets the export.
SIGNATURES = {
    "serving_default": "beam search; image_bytes: string [batch]",
    "greedy": "the likeliest next word each time; image_bytes: string [batch]",
    "sample": "captions drawn at random; image_bytes: string [batch]; scalars: temperature, "
    "float32 > 0; top_p, float32 in (0, 1], 1 for no limit; top_k, int32, 0 for no limit; "
    "seed, int64",
}
IMAGE_BYTES = tf.TensorSpec([None], tf.string, "image_bytes")


def export(
    model: Any,
    vocabulary: Vocabulary,
    options: SearchOptions,
    image_size: int,
    directory: Path | str,
    info: Mapping[str, Any],
) -> Path:
    """Write the next version of an export: the model as it is now, with its search and its words.

    All signatures answer alike, n being `options.n_best`, 1 for `greedy`, and T `max_words` + 1:

        caption    string [batch], the best one
        score      float32 [batch], its log P / length penalty
        captions   string [batch, n], the best first; sampled ones as they were drawn
        scores     float32 [batch, n]; -inf where the search found fewer than n
        tokens     int32 [batch, n, T], word ids up to END = 2, then 0
        attention  float32 [batch, n, T, cells], where the model looked at each token
        valid      bool [batch]; where false, captions are empty and all the rest is 0

    Args:
        model: an `EncoderHead` from pictures to sentences.
        vocabulary: its words.
        options: the search of `serving_default`; the others obey its rules of length and words.
        image_size: pixels a side that the backbone takes.
        directory: gets the version as a folder named 1, 2, …, whole or not at all.
        info: JSON values to keep in `assets.extra/wordreel.json` beside what stands there anyway.

    Returns:
        The version's folder.

    Raises:
        UserError: if the vocabulary is not the model's, or the directory cannot be written.
    """
    _check(model, vocabulary)
    return write_version(
        directory,
        lambda folder: _save(model, vocabulary, options, image_size, folder),
        _description(model, vocabulary, options, image_size) | dict(info),
    )


def _check(model: Any, vocabulary: Vocabulary) -> None:
    size = model.head.vocabulary
    if size != len(vocabulary):
        raise UserError(
            f"the model has {size} words, the vocabulary {len(vocabulary)} (hash "
            f"{vocabulary.hash}): take the vocabulary.txt of the run that trained the model"
        )


def _save(
    model: Any, vocabulary: Vocabulary, options: SearchOptions, image_size: int, folder: Path
) -> None:
    """Write the SavedModel. Only variables are tracked, not layers, so that it needs no Keras."""
    vocabulary_file = folder.with_name("vocabulary.txt")
    vocabulary.save(vocabulary_file)
    module = tf.Module()
    module.weights = [weight.value for weight in model.weights]
    module.vocabulary = tf.saved_model.Asset(str(vocabulary_file))
    answer = functools.partial(_answer, model, vocabulary, options, image_size)
    tf.saved_model.save(module, str(folder), signatures=_signatures(answer, options))


def _signatures(answer: Callable[..., Any], options: SearchOptions) -> dict[str, Any]:
    """Return a function a signature; `answer(image_bytes, search)` does the work."""

    @tf.function(input_signature=[IMAGE_BYTES], autograph=False)
    def by_beam(image_bytes: tf.Tensor) -> dict[str, tf.Tensor]:
        return answer(image_bytes, beam_search)

    @tf.function(input_signature=[IMAGE_BYTES], autograph=False)
    def greedily(image_bytes: tf.Tensor) -> dict[str, tf.Tensor]:
        return answer(image_bytes, greedy)

    # Scalars, which TensorFlow Serving's REST takes beside a batch in its columnar form
    # ("inputs"); it fills in the defaults of those left out.
    defaults = dict(
        temperature=tf.constant(1.0),
        top_p=tf.constant(1.0),
        top_k=tf.constant(0),
        seed=tf.constant(0, tf.int64),
    )
    scalars = [tf.TensorSpec([], value.dtype, name) for name, value in defaults.items()]

    @tf.function(input_signature=[IMAGE_BYTES, *scalars], autograph=False)
    def at_random(
        image_bytes: tf.Tensor,
        temperature: tf.Tensor = defaults["temperature"],
        top_p: tf.Tensor = defaults["top_p"],
        top_k: tf.Tensor = defaults["top_k"],
        seed: tf.Tensor = defaults["seed"],
    ) -> dict[str, tf.Tensor]:
        given = dict(temperature=temperature, top_p=top_p, top_k=top_k, seed=seed)
        return answer(image_bytes, functools.partial(sample, samples=options.n_best, **given))

    return dict(zip(SIGNATURES, (by_beam, greedily, at_random), strict=True))


def _answer(
    model: Any,
    vocabulary: Vocabulary,
    options: SearchOptions,
    image_size: int,
    image_bytes: tf.Tensor,
    search: Callable[..., Hypotheses],
) -> dict[str, tf.Tensor]:
    """Return the outputs of a signature for a batch of encoded pictures."""
    batch = tf.size(image_bytes)
    # No rows become one bad row: not every op takes an empty batch.
    image_bytes = tf.concat([image_bytes, tf.fill([tf.cast(batch == 0, tf.int32)], "")], axis=0)
    pictures, valid = decode_or_flag(image_bytes, image_size)
    step, state = model.head.start(model.remember(pictures))
    found = search(step, state, tf.size(image_bytes), options)
    tokens = tf.where(valid[:, None, None], found.tokens, PAD)
    scores = tf.where(valid[:, None], found.scores, 0.0)
    captions = _sentences(tokens, vocabulary)
    outputs = {
        "caption": captions[:, 0],
        "score": scores[:, 0],
        "captions": captions,
        "scores": scores,
        "tokens": tokens,
        "attention": tf.where(valid[:, None, None, None], found.attention, 0.0),
        "valid": valid,
    }
    return {name: output[:batch] for name, output in outputs.items()}


def _sentences(tokens: tf.Tensor, vocabulary: Vocabulary) -> tf.Tensor:
    """Spell tokens out: int32 `[..., T]` → string `[...]`, as `Vocabulary.decode` does."""
    words = tf.gather(tf.constant(vocabulary.words), tokens)
    separators = tf.constant(["", *[vocabulary.separator] * (tokens.shape[-1] - 1)])
    return tf.strings.reduce_join(tf.where(tokens > END, separators + words, ""), axis=-1)


def _description(
    model: Any, vocabulary: Vocabulary, options: SearchOptions, image_size: int
) -> dict[str, Any]:
    """Return what assets.extra/wordreel.json says."""
    _, rows, columns, _ = model.backbone.compute_output_shape((1, image_size, image_size, 3))
    return {
        "task": "image-captioning",
        "image_size": image_size,
        "grid": [rows, columns],
        "vocabulary": {"size": len(vocabulary), "hash": vocabulary.hash},
        "search": dataclasses.asdict(options),
        "signatures": SIGNATURES,
    }
