"""Export a classifier as a SavedModel: raw inputs to labels, with stock ops only."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf

from models.encoder_head import EncoderHead
from models.memory import Memory
from pipelines.export.version import (
    Preprocessing,
    compile_signature,
    describe_input,
    input_signatures,
    write_export,
)


def export_labels(
    model: EncoderHead,
    source: Preprocessing,
    classes: Sequence[str],
    directory: Path | str,
    info: Mapping[str, Any],
) -> Path:
    """Write the next version of an export.

    Every signature has the outputs:

        label          string [batch], the most probable class
        probabilities  float32 [batch, classes], in the order of assets/labels.txt
        valid          bool [batch]; if false, the label is empty and the other outputs are 0
        attention      float32 [batch, M], the weight of each item of the memory, for pooling by
                       attention or maximum only

    Args:
        model: ends in a classifier.
        source: reads the inputs of the signatures.
        classes: the labels, in the order of the logits.
        directory: the version becomes its subfolder 1, 2, …, complete or not at all.
        info: JSON values to add to `assets.extra/wordreel.json`.

    Returns:
        The version's folder.

    Raises:
        UserError: if the directory cannot be written, or the export fails its verification.
    """
    folded, inputs = model.optimize_for_inference(), input_signatures(source)
    encode = tf.function(folded.encode, autograph=False)  # traced once for all signatures
    outputs = functools.partial(_outputs, folded.head, classes)
    functions = {
        name: compile_signature(encode, read, outputs, spec)
        for name, (spec, read) in inputs.items()
    }
    texts = {name: f"the label; {describe_input(spec)}" for name, (spec, _) in inputs.items()}
    description = {"signatures": texts, "labels": list(classes), **info}
    text = "\n".join(classes) + "\n"
    files = {"labels.txt": lambda path: path.write_text(text, encoding="utf-8")}
    return write_export(directory, folded, source, functions, files, description)


def _outputs(
    head: Any, classes: Sequence[str], memory: Memory, valid: tf.Tensor
) -> dict[str, tf.Tensor]:
    """Compute the outputs of a signature from the memory of its rows."""
    probabilities = tf.nn.softmax(head(memory))
    best = tf.gather(tf.constant(list(classes)), tf.argmax(probabilities, axis=-1))
    outputs = {
        "label": tf.where(valid, best, ""),
        "probabilities": tf.where(valid[:, None], probabilities, 0.0),
        "valid": valid,
    }
    if head.pooling in ("max", "attention"):
        outputs["attention"] = tf.where(valid[:, None], head.attention_weights(memory), 0.0)
    return outputs
