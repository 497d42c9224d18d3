"""Export a captioner or translator as a SavedModel: raw inputs to sentences, with stock ops only.

The export needs neither Keras nor this project: TensorFlow and servers of SavedModels run it.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf

from data.common.errors import UserError
from data.media.vocabulary import Vocabulary
from models.encoder_head import EncoderHead
from models.memory import Memory
from models.search.beam_search import beam_search
from models.search.hypotheses import Hypotheses, SearchOptions
from models.search.sampling import greedy, sample
from models.tokens import PAD
from pipelines.export.version import (
    Head,
    Preprocessing,
    compile_signature,
    describe_input,
    input_signatures,
    predict,
    write_export,
)
from pipelines.preprocessing.text import decode

Search = Callable[..., Hypotheses]

# The search of each signature, described in assets.extra/wordreel.json.
SIGNATURES = {
    "serving_default": "beam search",
    "greedy": "greedy search: the most probable next word at each step",
    "sample": "random sampling; per row, or one value for all rows: temperature, float32 > 0; "
    "top_p, float32 in (0, 1], 1 for no limit; top_k, int32, 0 for no limit; seed, int64",
}


def export(
    model: EncoderHead,
    source: Preprocessing,
    vocabulary: Vocabulary,
    options: SearchOptions,
    directory: Path | str,
    info: Mapping[str, Any],
    answer: str = "caption",
) -> Path:
    """Write the next version of an export: the model with its search and vocabulary.

    All signatures have the input of `source`, such as encoded images as string `[batch]`, and the
    outputs, with n = `options.n_best`, 1 for `greedy`, and T = `max_words` + 1:

        caption    string [batch], the best one
        score      float32 [batch], its log P / length penalty
        captions   string [batch, n], the best first; sampled ones in sampling order
        scores     float32 [batch, n]; -inf where the search found fewer than n
        tokens     int32 [batch, n, T], word ids up to END = 2, then 0
        attention  float32 [batch, n, T, M], the weight of each item of the memory at each token
        valid      bool [batch]; if false, captions are empty and the other outputs are 0

    Args:
        model: ends in a sequence decoder.
        source: reads the inputs of the signatures.
        vocabulary: of the sentences.
        options: the search of `serving_default`; the others share its limits on length and words.
        directory: the version becomes its subfolder 1, 2, …, complete or not at all.
        info: JSON values to add to `assets.extra/wordreel.json`.
        answer: the name of a sentence in the outputs.

    Returns:
        The version's folder.

    Raises:
        UserError: if the vocabulary is not the model's, the directory cannot be written, or the
            export fails its verification.
    """
    size = model.head.vocabulary
    if size != len(vocabulary):
        raise UserError(
            f"the model has {size} words, the vocabulary {len(vocabulary)} (hash "
            f"{vocabulary.hash}): use the vocabulary.txt of the run that trained the model"
        )
    folded, inputs = model.optimize_for_inference(), input_signatures(source)
    encode = tf.function(folded.encode, autograph=False)  # traced once for all signatures

    def outputs_of(search: Search) -> Head:
        return functools.partial(_outputs, folded.head, vocabulary, options, answer, search)

    functions = {
        name: compile_signature(encode, read, outputs_of(beam_search), spec)
        for name, (spec, read) in inputs.items()
    }
    spec, read = inputs["serving_default"]  # other inputs are for beam search only
    functions["greedy"] = compile_signature(encode, read, outputs_of(greedy), spec)
    search = functools.partial(sample, samples=options.n_best)
    functions["sample"] = _compile_sampling(
        lambda given, **settings: predict(
            encode, read, outputs_of(functools.partial(search, **settings)), given
        ),
        spec,
    )
    texts = {name: f"{SIGNATURES['serving_default']}; {describe_input(spec)}"
             for name, (spec, _) in inputs.items()}  # fmt: skip
    own = describe_input(source.signature)
    description = {
        "answer": answer,
        "vocabulary": {"size": len(vocabulary), "hash": vocabulary.hash},
        "search": dataclasses.asdict(options),
        "signatures": texts | {name: f"{text}; {own}" for name, text in SIGNATURES.items()},
        **info,
    }
    files = {"vocabulary.txt": vocabulary.save}
    return write_export(directory, folded, source, functions, files, description)


def _compile_sampling(answer: Callable[..., Any], spec: tf.TensorSpec) -> Any:
    """Return the function of the signature `sample`: `answer(given, **settings)`."""
    # One value per row: neither the batching nor the row form of TensorFlow Serving takes scalars.
    defaults = dict(
        temperature=tf.constant([1.0]),
        top_p=tf.constant([1.0]),
        top_k=tf.constant([0]),
        seed=tf.constant([0], tf.int64),
    )
    settings = [tf.TensorSpec([None], value.dtype, name) for name, value in defaults.items()]

    @tf.function(input_signature=[spec, *settings], autograph=False)
    def sample_function(
        given: tf.Tensor,
        temperature: tf.Tensor = defaults["temperature"],
        top_p: tf.Tensor = defaults["top_p"],
        top_k: tf.Tensor = defaults["top_k"],
        seed: tf.Tensor = defaults["seed"],
    ) -> dict[str, tf.Tensor]:
        given_values = dict(temperature=temperature, top_p=top_p, top_k=top_k, seed=seed)
        values = {  # an empty batch becomes one row, which needs settings
            name: tf.concat([value, defaults[name][: tf.cast(tf.size(value) == 0, tf.int32)]], 0)
            for name, value in given_values.items()
        }
        return answer(given, **values)

    return sample_function


def _outputs(
    head: Any,
    vocabulary: Vocabulary,
    options: SearchOptions,
    name: str,
    search: Search,
    memory: Memory,
    valid: tf.Tensor,
) -> dict[str, tf.Tensor]:
    """Compute the outputs of a signature from the memory of its rows."""
    step, state, cache = head.prepare_search(memory)
    found = search(step, state, cache, tf.size(valid), options)
    tokens = tf.where(valid[:, None, None], found.tokens, PAD)
    scores = tf.where(valid[:, None], found.scores, 0.0)
    sentences = decode(tokens, vocabulary)
    return {
        name: sentences[:, 0],
        "score": scores[:, 0],
        f"{name}s": sentences,
        "scores": scores,
        "tokens": tokens,
        "attention": tf.where(valid[:, None, None, None], found.attention, 0.0),
        "valid": valid,
    }
