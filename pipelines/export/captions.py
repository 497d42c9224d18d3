"""From a model to a SavedModel: raw inputs in, sentences out, nothing but stock ops inside.

It needs neither Keras nor this project: any TensorFlow, and any server of SavedModels, runs it.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf

from data.common.errors import UserError
from data.media.vocabulary import CLOSING, OPENING, Vocabulary
from models.search.beam_search import beam_search
from models.search.hypotheses import Hypotheses, SearchOptions
from models.search.sampling import greedy, sample
from models.tokens import END, PAD
from pipelines.export.version import at_least_one_row, more_signatures, taken, write_version

# What each signature does; in assets.extra/wordreel.json for whoever meets the export.
SIGNATURES = {
    "serving_default": "beam search",
    "greedy": "the likeliest next word each time",
    "sample": "sentences drawn at random; of each row, or one for all: temperature, float32 > 0; "
    "top_p, float32 in (0, 1], 1 for no limit; top_k, int32, 0 for no limit; seed, int64",
}


def export(
    model: Any,
    source: Any,
    vocabulary: Vocabulary,
    options: SearchOptions,
    directory: Path | str,
    info: Mapping[str, Any],
    answer: str = "caption",
) -> Path:
    """Write the next version of an export: the model as it is now, with its search and its words.

    All signatures take what `source` reads, encoded pictures as string `[batch]` for one, and
    answer alike, n being `options.n_best`, 1 for `greedy`, and T `max_words` + 1:

        caption    string [batch], the best one
        score      float32 [batch], its log P / length penalty
        captions   string [batch, n], the best first; sampled ones as they were drawn
        scores     float32 [batch, n]; -inf where the search found fewer than n
        tokens     int32 [batch, n, T], word ids up to END = 2, then 0
        attention  float32 [batch, n, T, M], where the model looked at each token
        valid      bool [batch]; where false, captions are empty and all the rest is 0

    Args:
        model: an `EncoderHead` that ends in sentences.
        source: what the signatures take and how it is read, see `pipelines.preprocessing.images`.
        vocabulary: its words.
        options: the search of `serving_default`; the others obey its rules of length and words.
        directory: gets the version as a folder named 1, 2, …, whole or not at all.
        info: JSON values to keep in `assets.extra/wordreel.json` beside what stands there anyway.
        answer: what outputs call a sentence.

    Returns:
        The version's folder.

    Raises:
        UserError: if the vocabulary is not the model's, or the directory cannot be written.
    """
    _check(model, vocabulary)
    return write_version(
        directory,
        lambda folder: _save(model, source, vocabulary, options, answer, folder),
        _description(source, vocabulary, options, answer) | dict(info),
    )


def _check(model: Any, vocabulary: Vocabulary) -> None:
    size = model.head.vocabulary
    if size != len(vocabulary):
        raise UserError(
            f"the model has {size} words, the vocabulary {len(vocabulary)} (hash "
            f"{vocabulary.hash}): take the vocabulary.txt of the run that trained the model"
        )


def _save(
    model: Any,
    source: Any,
    vocabulary: Vocabulary,
    options: SearchOptions,
    name: str,
    folder: Path,
) -> dict[str, Any]:
    """Write the SavedModel. Only variables are tracked, not layers, so that it needs no Keras."""
    words = folder.with_name("vocabulary.txt")
    vocabulary.save(words)
    files = [words, *source.write_assets(folder.parent)]
    model = model.optimize_for_inference()
    module = tf.Module()
    module.files = [tf.saved_model.Asset(str(path)) for path in files]
    answer = functools.partial(_answer, model, vocabulary, options, name)
    read = functools.partial(answer, source.read_in_graph)
    signatures = _signatures(read, source.signature, options)
    for other, (takes, reader) in more_signatures(source).items():
        other_read = functools.partial(answer, reader)
        signatures[other] = _signatures(other_read, takes, options)["serving_default"]
    # A folded model has stored what came of some weights, and reads these no more.
    graphs = [function.get_concrete_function().graph for function in signatures.values()]
    read_from = {id(variable) for graph in graphs for variable in graph.variables}
    weights = [weight.value for weight in model.weights]
    module.weights = [weight for weight in weights if id(weight) in read_from]
    tf.saved_model.save(module, str(folder), signatures=signatures)
    return signatures


def _signatures(
    answer: Callable[..., Any], takes: tf.TensorSpec, options: SearchOptions
) -> dict[str, Any]:
    """Return a function a signature; `answer(given, search)` does the work."""

    @tf.function(input_signature=[takes], autograph=False)
    def by_beam(given: tf.Tensor) -> dict[str, tf.Tensor]:
        return answer(given, beam_search)

    @tf.function(input_signature=[takes], autograph=False)
    def greedily(given: tf.Tensor) -> dict[str, tf.Tensor]:
        return answer(given, greedy)

    # Of each row: TensorFlow Serving batches no scalars, nor has its REST any in a row.
    defaults = dict(
        temperature=tf.constant([1.0]),
        top_p=tf.constant([1.0]),
        top_k=tf.constant([0]),
        seed=tf.constant([0], tf.int64),
    )
    settings = [tf.TensorSpec([None], value.dtype, name) for name, value in defaults.items()]

    @tf.function(input_signature=[takes, *settings], autograph=False)
    def at_random(
        given: tf.Tensor,
        temperature: tf.Tensor = defaults["temperature"],
        top_p: tf.Tensor = defaults["top_p"],
        top_k: tf.Tensor = defaults["top_k"],
        seed: tf.Tensor = defaults["seed"],
    ) -> dict[str, tf.Tensor]:
        given_how = dict(temperature=temperature, top_p=top_p, top_k=top_k, seed=seed)
        how = {  # an empty batch becomes a row, which needs its settings
            name: tf.concat([value, defaults[name][: tf.cast(tf.size(value) == 0, tf.int32)]], 0)
            for name, value in given_how.items()
        }
        return answer(given, functools.partial(sample, samples=options.n_best, **how))

    return dict(zip(SIGNATURES, (by_beam, greedily, at_random), strict=True))


def _answer(
    model: Any,
    vocabulary: Vocabulary,
    options: SearchOptions,
    name: str,
    read: Callable[[tf.Tensor], tuple[Any, tf.Tensor]],
    given: tf.Tensor,
    search: Callable[..., Hypotheses],
) -> dict[str, tf.Tensor]:
    """Return the outputs of a signature for a batch of what `read` reads."""
    rows, valid = read(at_least_one_row(given))
    step, state, cache = model.head.prepare_search(model.encode(rows))
    found = search(step, state, cache, tf.size(valid), options)
    tokens = tf.where(valid[:, None, None], found.tokens, PAD)
    scores = tf.where(valid[:, None], found.scores, 0.0)
    sentences = _sentences(tokens, vocabulary)
    outputs = {
        name: sentences[:, 0],
        "score": scores[:, 0],
        f"{name}s": sentences,
        "scores": scores,
        "tokens": tokens,
        "attention": tf.where(valid[:, None, None, None], found.attention, 0.0),
        "valid": valid,
    }
    return {key: output[: tf.shape(given)[0]] for key, output in outputs.items()}


def _sentences(tokens: tf.Tensor, vocabulary: Vocabulary) -> tf.Tensor:
    """Spell tokens out: int32 `[..., T]` → string `[...]`, as `Vocabulary.decode` does."""
    words = tf.gather(tf.constant(vocabulary.words), tokens)
    separators = tf.constant(["", *[vocabulary.separator] * (tokens.shape[-1] - 1)])
    texts = tf.strings.reduce_join(tf.where(tokens > END, separators + words, ""), axis=-1)
    for space in (CLOSING, OPENING) if vocabulary.punctuation else ():
        texts = tf.strings.regex_replace(texts, space, r"\1")
    return texts


def _description(
    source: Any, vocabulary: Vocabulary, options: SearchOptions, answer: str
) -> dict[str, Any]:
    """Return what assets.extra/wordreel.json says."""
    takes = taken(source.signature)
    others = {
        name: f"{SIGNATURES['serving_default']}; {taken(spec)}"
        for name, (spec, _) in more_signatures(source).items()
    }
    return {
        "answer": answer,
        "input": source.description(),
        "vocabulary": {"size": len(vocabulary), "hash": vocabulary.hash},
        "search": dataclasses.asdict(options),
        "signatures": {name: f"{text}; {takes}" for name, text in SIGNATURES.items()} | others,
    }
