"""From a classifier to a SavedModel: raw inputs in, labels out, stock ops alone inside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf

from pipelines.saved_model import at_least_one_row, write_version


def export_labels(
    model: Any,
    source: Any,
    classes: Sequence[str],
    directory: Path | str,
    info: Mapping[str, Any],
) -> Path:
    """Write the next version of an export.

    Its one signature, `serving_default`, answers:

        label          string [batch], the likeliest class
        probabilities  float32 [batch, classes], in the order of assets/labels.txt
        valid          bool [batch]; where false, the label is empty and all the rest is 0

    Args:
        model: an `EncoderHead` with a classifier.
        source: what the signature takes and how it is read, see `pipelines.text_source`.
        classes: the labels, in the order of the logits.
        directory: gets the version as a folder named 1, 2, …, whole or not at all.
        info: JSON values to keep in `assets.extra/wordreel.json`.

    Returns:
        The version's folder.

    Raises:
        UserError: if the directory cannot be written.
    """
    takes = source.signature
    description = {
        "signatures": {"serving_default": f"the label; {takes.name}: string {list(takes.shape)}"},
        "labels": list(classes),
        "input": source.description(),
        **info,
    }
    return write_version(
        directory, lambda folder: _save(model, source, classes, folder), description
    )


def _save(model: Any, source: Any, classes: Sequence[str], folder: Path) -> None:
    """Write the SavedModel. Only variables are tracked, not layers, so that it needs no Keras."""
    labels = folder.with_name("labels.txt")
    labels.write_text("\n".join(classes) + "\n", encoding="utf-8")
    module = tf.Module()
    module.weights = [weight.value for weight in model.weights]
    module.files = [
        tf.saved_model.Asset(str(path)) for path in (labels, *source.write_assets(folder.parent))
    ]

    @tf.function(input_signature=[source.signature], autograph=False)
    def answer(given: tf.Tensor) -> dict[str, tf.Tensor]:
        rows, valid = source.read_in_graph(at_least_one_row(given))
        probabilities = tf.nn.softmax(model.head(model.remember(rows)))
        likeliest = tf.gather(tf.constant(list(classes)), tf.argmax(probabilities, axis=-1))
        outputs = {
            "label": tf.where(valid, likeliest, ""),
            "probabilities": tf.where(valid[:, None], probabilities, 0.0),
            "valid": valid,
        }
        return {name: output[: tf.shape(given)[0]] for name, output in outputs.items()}

    tf.saved_model.save(module, str(folder), signatures={"serving_default": answer})
