"""Keras models that generate sentences: captioners and translators."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

import keras
import numpy as np
import tensorflow as tf

from data.media.vocabulary import Vocabulary
from models.search.hypotheses import SearchOptions
from pipelines.config.config import Config
from pipelines.config.task import TASKS
from pipelines.evaluation.captions import compile_search
from pipelines.export.captions import export
from pipelines.task_models.base import TaskModel, input_parts
from pipelines.task_models.parts import InputParts, decoder, search_options
from pipelines.task_models.preprocessor import (
    InputPreprocessing,
    OutputPreprocessing,
    Preprocessor,
    Sentences,
)


class SentenceModel(TaskModel):
    """A model whose head is a `SequenceDecoder`.

    Attributes:
        search: the options of `generate` and of exports.
    """

    def __init__(
        self,
        backbone: Callable[..., tf.Tensor] | None,
        encoder: keras.layers.Layer,
        head: keras.layers.Layer,
        preprocessor: Preprocessor,
        top: keras.Model | None = None,
        search: SearchOptions | None = None,
        **model: Any,
    ) -> None:
        """Join the parts, with the options of beam search, None for the defaults."""
        super().__init__(backbone, encoder, head, preprocessor, top, **model)
        self.search = search or SearchOptions(max_words=self._sentences.max_words)
        self._search_functions = functools.lru_cache(8)(
            lambda options: compile_search(self, options)
        )

    @classmethod
    def create(
        cls,
        vocabulary: Vocabulary,
        *,
        input_vocabulary: Vocabulary | None = None,
        **options: Any,
    ) -> Self:
        """Return an untrained model.

        Args:
            vocabulary: the words of the sentences, for example
                `Vocabulary.build(captions, min_count=2)`.
            input_vocabulary: the words of the input, of a translator only.
            options: of `train.py`, with underscores: `backbone`, `units`, `decoder`, `cell`,
                `dropout`, `max_words`, `beams`, …; `train.py TASK --help-all` lists them.

        Raises:
            TypeError: for an unknown option.
            UserError: for an invalid value, or a backbone that cannot be built.
        """
        config = Config(task=cls.task, **options)
        output = Sentences(vocabulary, config.max_words)
        parts = input_parts(config, input_vocabulary)
        return cls.of(parts, decoder(config, vocabulary), output, config)

    @classmethod
    def of(
        cls,
        parts: InputParts[InputPreprocessing],
        head: keras.layers.Layer,
        output: OutputPreprocessing,
        config: Config,
        top: keras.Model | None = None,
    ) -> Self:
        """Return the model of these parts, with the search of a configuration."""
        model = super().of(parts, head, output, config, top)
        model.search = search_options(config)
        return model

    @property
    def vocabulary(self) -> Vocabulary:
        """The words of the sentences."""
        return self._sentences.vocabulary

    def generate(
        self,
        inputs: Any,
        *,
        beams: int | None = None,
        num_return: int = 1,
        max_words: int | None = None,
        batch_size: int = 32,
    ) -> list[str] | list[list[str]]:
        """Return the sentences that beam search finds for each input.

        Args:
            inputs: images, clips or texts, or a dataset of batches of them.
            beams: hypotheses kept at each step; None: as in `search`, but at least `num_return`.
            num_return: sentences of each input.
            max_words: length limit in words; None: as in `search`.
            batch_size: for arrays.

        Returns:
            A sentence per input, or if `num_return` is more than 1 a list per input, the best
            first.

        Raises:
            ValueError: if `num_return` is more than `beams`.
        """
        beams = beams or max(self.search.beams, num_return)
        if not 1 <= num_return <= beams:
            raise ValueError(f"num_return must be 1 to beams ({beams}), got {num_return}")
        options = dataclasses.replace(
            self.search,
            beams=beams,
            n_best=num_return,
            max_words=max_words or self.search.max_words,
        )
        search, found = self._search_functions(options), list[list[str]]()
        for batch in self._batches(inputs, batch_size):
            hypotheses, _ = search(batch)
            scores = hypotheses.scores.numpy()
            for row, sentences in enumerate(hypotheses.tokens.numpy()):
                finite = sentences[np.isfinite(scores[row])].tolist()
                found.append([self.vocabulary.decode(tokens) for tokens in finite])
        return found if num_return > 1 else [sentences[0] for sentences in found]

    def predict(self, x: Any, batch_size: int = 32, **options: Any) -> np.ndarray:
        """Return the sentences of `generate` as an array of strings, `[batch]`."""
        del options  # those of `keras.Model.predict`: verbosity, steps, callbacks
        return np.array(self.generate(x, batch_size=batch_size), object)

    def export(self, filepath: Path | str, info: Mapping[str, object] | None = None) -> Path:
        """Write the next version of an export with `search`, see `TaskModel.export`."""
        info = {"task": self.task, **(info or {})}
        inputs, answer = self.preprocessor.input, TASKS[self.task].answer
        return export(self, inputs, self.vocabulary, self.search, filepath, info, answer)

    def get_config(self) -> dict[str, Any]:
        """Return the serialized parts and the options of the search."""
        return {**super().get_config(), "search": dataclasses.asdict(self.search)}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Self:
        """Return the model of `get_config`, without its weights."""
        search = SearchOptions(**config["search"])
        return super().from_config({**config, "search": search}, custom_objects)

    @property
    def _sentences(self) -> Sentences:
        output = self.preprocessor.output
        assert isinstance(output, Sentences)
        return output


@keras.saving.register_keras_serializable("wordreel")
class ImageCaptioner(SentenceModel):
    """An image to a caption."""

    task = "image-captioning"


@keras.saving.register_keras_serializable("wordreel")
class VideoCaptioner(SentenceModel):
    """A clip to a caption."""

    task = "video-captioning"


@keras.saving.register_keras_serializable("wordreel")
class Translator(SentenceModel):
    """A text to its translation."""

    task = "translation"
