"""Texts as the input of a task: their vocabulary, an encoder, and tables of word ids."""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path

import keras
import numpy as np

from data.media.vocabulary import END, SPECIAL, START, Vocabulary
from data.media.word_vectors import read_vectors
from data.media.words import tokenize_with_spaces
from data.text.prepare import prepare_texts
from data.text.prepared import Texts
from pipelines.config.config import Config
from pipelines.config.task import TASKS
from pipelines.inputs.batches import note_lengths
from pipelines.inputs.tables import TextTable
from pipelines.preprocessing.text import INPUT_VOCABULARY as VOCABULARY
from pipelines.reports.thumbnails import Preview
from pipelines.task_models.parts import text_parts
from pipelines.tasks.initialization import Rows, load_vocabulary, match_affixes, match_rows


class TextSource:
    """The texts of a prepared dataset, and the part of the model that encodes them.

    Attributes, in addition to those of `Source`:
        vocabulary: the words of the training texts.
    """

    backbone: keras.Model | None = None
    top: keras.Model | None = None

    def __init__(self, config: Config, prepared: Texts, run_dir: Path) -> None:
        """Build the vocabulary and the encoder, or read the vocabulary of an earlier start."""
        self.config, self.prepared = config, prepared
        self.vocabulary = load_vocabulary(
            run_dir / VOCABULARY,
            lambda: (text for _, text in prepared.texts(config.train_split)),
            config,
        )
        _, self.encoder, self.preprocessing = text_parts(config, self.vocabulary)
        self.pins: dict[str, str] = {}
        if config.word_vectors is not None:
            self._load_word_vectors(config.word_vectors)
        self.notes: list[str] = []
        self._cached_table = functools.cache(self._table)
        self._texts = functools.cache(lambda split: dict(prepared.texts(split)))

    @staticmethod
    def prepare(config: Config) -> Texts:
        """Return the dataset of a run."""
        return prepare_texts(
            config.data,
            config.source,
            pairs=TASKS[config.task].pairs,
            languages=config.languages,
            max_bad=config.max_bad,
            seed=config.seed,
        )

    def table(self, split: str, epoch: int) -> TextTable:
        """Return the word ids of a split, the same in every epoch."""
        del epoch
        return self._cached_table(split)

    def preview(self, split: str, name: str) -> Preview:
        """Return the preview of an example: the text, and the words that the model reads."""
        text = self._texts(split)[name]
        words = tokenize_with_spaces(text, self.vocabulary.punctuation)[: self.config.max_words]
        return Preview(text=text, words=(SPECIAL[START], *words, SPECIAL[END]))

    def rows_from(self, run: Path) -> dict[str, Rows]:
        """Return the words of another run as the sources of the weights, see `copy_weights`."""
        old = Vocabulary.load(run / VOCABULARY)
        rows = {"embedding": Rows(0, match_rows(self.vocabulary.words, old.words))}
        if self.config.affix_embeddings:
            rows["affix_vectors"] = Rows(0, match_affixes(self.vocabulary, old))
            rows["affix_numbers"] = Rows(0, np.full(len(self.vocabulary), -1))  # of these words
        return rows

    def _load_word_vectors(self, path: str) -> None:
        """Initialize the embeddings of the words in a file of pretrained word vectors."""
        known = read_vectors(path, self.vocabulary.ids, self.config.embedding_dim)
        vectors = self.encoder.embedding.numpy()
        for word, vector in known.items():
            vectors[self.vocabulary.ids[word]] = vector
        self.encoder.embedding.assign(vectors)
        digest = hashlib.sha256()  # of the vectors as they were read
        for word in sorted(known):
            digest.update(word.encode() + b"\n" + known[word].tobytes())
        self.pins[f"the word vectors of {path}"] = digest.hexdigest()[:16]
        print(f"{path} has vectors of {len(known):,} of {len(self.vocabulary):,} words")

    def _table(self, split: str) -> TextTable:
        """Return the word ids of a split; note how many texts are truncated."""
        names, texts = zip(*self.prepared.texts(split), strict=True)
        max_words = self.config.max_words
        self.notes += note_lengths(texts, self.vocabulary, max_words, f"texts of {split}")
        rows = [np.array(self.vocabulary.encode(text, max_words), np.int32) for text in texts]
        return TextTable(names, rows)
