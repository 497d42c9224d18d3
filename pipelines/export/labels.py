"""From a classifier to a SavedModel: raw inputs in, labels out, stock ops alone inside."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf

from pipelines.export.version import at_least_one_row, more_signatures, taken, write_version


def export_labels(
    model: Any,
    source: Any,
    classes: Sequence[str],
    directory: Path | str,
    info: Mapping[str, Any],
) -> Path:
    """Write the next version of an export.

    Each signature, `serving_default` and those of `more_signatures`, answers:

        label          string [batch], the likeliest class
        probabilities  float32 [batch, classes], in the order of assets/labels.txt
        valid          bool [batch]; where false, the label is empty and all the rest is 0
        attention      float32 [batch, M], how much each item counted, from a model that weighs
                       them or takes their highest values

    Args:
        model: an `EncoderHead` with a classifier.
        source: what the signature takes and how it is read, see `pipelines.tasks.text_source`.
        classes: the labels, in the order of the logits.
        directory: gets the version as a folder named 1, 2, …, whole or not at all.
        info: JSON values to keep in `assets.extra/wordreel.json`.

    Returns:
        The version's folder.

    Raises:
        UserError: if the directory cannot be written.
    """
    inputs = {
        "serving_default": (source.signature, source.read_in_graph),
        **more_signatures(source),
    }
    description = {
        "signatures": {name: f"the label; {taken(spec)}" for name, (spec, _) in inputs.items()},
        "labels": list(classes),
        "input": source.description(),
        **info,
    }
    return write_version(
        directory, lambda folder: _save(model, source, classes, inputs, folder), description
    )


def _save(
    model: Any,
    source: Any,
    classes: Sequence[str],
    inputs: Mapping[str, tuple[tf.TensorSpec, Callable[..., Any]]],
    folder: Path,
) -> dict[str, Any]:
    """Write the SavedModel. Only variables are tracked, not layers, so that it needs no Keras."""
    labels = folder.with_name("labels.txt")
    labels.write_text("\n".join(classes) + "\n", encoding="utf-8")
    model = model.optimize_for_inference()
    module = tf.Module()
    module.weights = [weight.value for weight in model.weights]
    module.files = [
        tf.saved_model.Asset(str(path)) for path in (labels, *source.write_assets(folder.parent))
    ]
    signatures = {
        name: tf.function(
            functools.partial(_answer, model, classes, read),
            input_signature=[spec],
            autograph=False,
        )
        for name, (spec, read) in inputs.items()
    }
    tf.saved_model.save(module, str(folder), signatures=signatures)
    return signatures


def _answer(
    model: Any,
    classes: Sequence[str],
    read: Callable[[tf.Tensor], tuple[Any, tf.Tensor]],
    given: tf.Tensor,
) -> dict[str, tf.Tensor]:
    """Return the outputs of a signature for a batch of what `read` reads."""
    rows, valid = read(at_least_one_row(given))
    memory = model.encode(rows)
    probabilities = tf.nn.softmax(model.head(memory))
    likeliest = tf.gather(tf.constant(list(classes)), tf.argmax(probabilities, axis=-1))
    outputs = {
        "label": tf.where(valid, likeliest, ""),
        "probabilities": tf.where(valid[:, None], probabilities, 0.0),
        "valid": valid,
    }
    if model.head.pooling in ("max", "attention"):
        outputs["attention"] = tf.where(valid[:, None], model.head.attention_weights(memory), 0.0)
    return {name: output[: tf.shape(given)[0]] for name, output in outputs.items()}
