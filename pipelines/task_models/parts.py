"""The parts of a model, from the options of `train.py`."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Generic, NamedTuple, TypeVar

import keras
import numpy as np

from data.common.errors import UserError
from data.media.vocabulary import Vocabulary
from models.backbones.factory import (
    add_frame_differences,
    add_pooling,
    build_backbone,
    default_image_size,
)
from models.encoders.image import ImageEncoder
from models.encoders.text import TextEncoder
from models.encoders.video import VideoEncoder
from models.heads.classifier import Classifier
from models.heads.sequence_decoder import SequenceDecoder
from models.layers.rnn import Recurrent
from models.search.hypotheses import SearchOptions
from pipelines.config.config import Config
from pipelines.config.crop import crop_box
from pipelines.preprocessing.clips import ClipPreprocessing
from pipelines.preprocessing.images import ImagePreprocessing
from pipelines.preprocessing.text import TextPreprocessing
from pipelines.task_models.preprocessor import InputPreprocessing

Reads = TypeVar("Reads", bound=InputPreprocessing, covariant=True)


class InputParts(NamedTuple, Generic[Reads]):
    """The parts of a model that read and encode its input."""

    backbone: keras.Model | None
    encoder: keras.layers.Layer
    preprocessing: Reads


@contextlib.contextmanager
def named_errors(config: Config) -> Iterator[None]:
    """Name the backbone in errors."""
    try:
        yield
    except ValueError as error:
        raise UserError(f"--backbone {config.backbone}: {error}") from error


def configured_backbone(config: Config) -> keras.Model:
    """Return the backbone, from pixels `[batch, size, size, 3]` to a grid of features.

    Raises:
        UserError: if it cannot be built.
    """
    with named_errors(config):
        size = config.image_size or default_image_size(config.backbone)
        return build_backbone(config.backbone, weights=config.weights, image_size=size)


def image_parts(config: Config, backbone: keras.Model) -> InputParts[ImagePreprocessing]:
    """Return the parts that encode images."""
    encoder = ImageEncoder(
        config.units, config.dropout, spread=0.5 if config.position_init else 0.1
    )
    size = backbone.input_shape[1]
    _, rows, columns, depth = backbone.compute_output_shape((1, size, size, 3))
    encoder.build((None, rows * columns, depth))
    return InputParts(backbone, encoder, ImagePreprocessing(size, (rows, columns)))


def clip_parts(
    config: Config, backbone: keras.Model, sampling: Mapping[str, object]
) -> InputParts[ClipPreprocessing]:
    """Return the parts that encode clips; `sampling` says which frames to send, for clients."""
    size, views = backbone.input_shape[1], 1 + (config.motion == "pixels")
    if config.frame_pooling != "spatial+cells":
        backbone = add_pooling(backbone, spatial=config.frame_pooling == "spatial")
    if views > 1:
        backbone = add_frame_differences(backbone)
    *cells, depth = backbone.output_shape[1:]
    encoder = VideoEncoder(
        recurrent_layers(config),
        motion=config.motion == "features",
        norm=config.frame_normalization,
        times=config.frame_time_embedding,
        dropout=config.dropout,
    )
    grid = [math.prod(cells)] if cells else []
    encoder.build((None, None, *grid, depth))
    box, frames = crop_box(config.crop), config.clip_frames
    reads = ClipPreprocessing(size, box, frames, sampling, views=views, cells=math.prod(cells))
    return InputParts(backbone, encoder, reads)


def text_parts(config: Config, vocabulary: Vocabulary) -> InputParts[TextPreprocessing]:
    """Return the parts that encode texts."""
    affixes = np.array(vocabulary.affixes()) if config.affix_embeddings else None
    encoder = TextEncoder(
        len(vocabulary),
        recurrent_layers(config),
        embedding=config.embedding_dim,
        dropout=config.dropout,
        embedding_dropout=config.embedding_dropout,
        word_dropout=config.word_dropout,
        variational=config.variational_dropout,
        affixes=0 if affixes is None else 1 + int(affixes.max()),
    )
    encoder.build()
    if affixes is not None:
        encoder.affix_numbers.assign(affixes)
    return InputParts(None, encoder, TextPreprocessing(vocabulary, config.max_words))


def recurrent_layers(config: Config) -> Recurrent:
    """Return the recurrent layers of an encoder of clips or texts."""
    return Recurrent(
        config.cell,
        config.units,
        layers=config.layers,
        bidirectional=config.bidirectional,
        dropout=config.dropout,
    )


def decoder(config: Config, vocabulary: Vocabulary) -> SequenceDecoder:
    """Return the head that generates sentences."""
    return SequenceDecoder(
        len(vocabulary),
        decoder=config.decoder,
        cell=config.cell,
        units=config.units,
        embedding=config.units,
        dropout=config.dropout,
    )


def classifier(
    config: Config, classes: Sequence[str], weights: Sequence[float] | None = None
) -> Classifier:
    """Return the head that predicts labels; `weights` are those of the classes in the loss."""
    return Classifier(len(classes), weights, config.pooling)


def search_options(config: Config) -> SearchOptions:
    """Return the options of the search for sentences."""
    return SearchOptions(
        beams=config.beams,
        max_words=config.max_words,
        min_words=config.min_words,
        length_penalty=config.length_penalty,
        no_repeat_ngram_size=config.no_repeat_ngram_size,
        n_best=config.n_best,
    )
