"""Texts as the input of a task: their words, an encoder, and tables of ids for it."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from data.media.vocabulary import END, SPECIAL, START, Vocabulary, tokenize
from data.media.word_vectors import read_vectors
from data.text.prepare import prepare_texts
from data.text.prepared import Texts
from models.encoders.text import TextEncoder
from pipelines.config.config import Config
from pipelines.config.task import TASKS
from pipelines.inputs.batches import note_cut, pad
from pipelines.preprocessing import text as text_graph
from pipelines.reports.thumbnails import Shown


@dataclasses.dataclass(frozen=True)
class TextTable:
    """One row of word ids a text.

    Attributes:
        ids: the texts' ids, in the order of the rows.
        rows: int32 arrays `[START, words…, END]`.
    """

    ids: tuple[str, ...]
    rows: Sequence[np.ndarray]

    @property
    def spec(self) -> tf.TensorSpec:
        """What `read` returns: int32 `[texts, time]`."""
        return tf.TensorSpec([None, None], tf.int32)

    @property
    def lengths(self) -> list[int]:
        """Return the ids in each row."""
        return [len(row) for row in self.rows]

    def positions(self) -> dict[str, int]:
        """Return the row of each id."""
        return {name: row for row, name in enumerate(self.ids)}

    def read(self, positions: np.ndarray, chance: np.random.Generator | None = None) -> np.ndarray:
        """Return some rows, padded to the longest; texts are not varied."""
        del chance
        return pad([self.rows[position] for position in positions])


class TextSource:
    """The texts of a prepared dataset, and the part of the model that reads them.

    Attributes:
        vocabulary: the words of the training texts.
        encoder: word ids → Memory.
        backbone, top: None; a text has none.
        notes: what the report has to say of the inputs.
    """

    backbone = top = None

    def __init__(self, config: Config, prepared: Any, run_dir: Path) -> None:
        """Collect the words, or read those that an earlier start of this run collected."""
        self.config, self.prepared = config, prepared
        path = run_dir / "source-vocabulary.txt"
        if not path.exists():
            texts = (text for _, text in prepared.texts(config.train_split))
            Vocabulary.build(texts, config.min_count, marks=config.keep_punctuation).save(path)
        self.vocabulary = Vocabulary.load(path)
        affixes = np.array(self.vocabulary.affixes()) if config.affix_embeddings else None
        self.encoder = TextEncoder(
            len(self.vocabulary),
            cell=config.cell,
            units=config.units,
            layers=config.layers,
            bidirectional=config.bidirectional,
            embedding=config.embedding_dim,
            dropout=config.dropout,
            embedding_dropout=config.embedding_dropout,
            word_dropout=config.word_dropout,
            variational=config.variational_dropout,
            affixes=0 if affixes is None else 1 + int(affixes.max()),
        )
        self.encoder.build()
        if affixes is not None:
            self.encoder.affix_numbers.assign(affixes)
        if config.word_vectors is not None:
            self._start_from(config.word_vectors)
        self.notes: list[str] = []
        self.table = functools.cache(self._table)  # of (split, tuned)
        self._texts = functools.cache(lambda split: dict(prepared.texts(split)))

    @staticmethod
    def prepare(config: Config) -> Texts:
        """Return the dataset of a run."""
        return prepare_texts(
            config.data,
            config.source,
            pairs="pairs" in TASKS[config.task].parts,
            languages=config.languages,
            max_bad=config.max_bad,
            seed=config.seed,
        )

    @staticmethod
    def inputs(prepared: Any, split: str) -> Iterable[tuple[str, Any]]:
        """Return the id of each example of a split, and what an export is asked of it."""
        return prepared.texts(split)

    def tuned(self, epoch: int) -> bool:
        """Say that no backbone learns in any epoch."""
        del epoch
        return False

    def shown(self, split: str, name: str) -> Shown:
        """Return what the report shows of an example: the text, and its words as they are read."""
        text = self._texts(split)[name]
        words = tokenize(text, self.vocabulary.marks)[: self.config.max_words]
        return Shown(text=text, words=(SPECIAL[START], *words, SPECIAL[END]))

    def _start_from(self, path: str) -> None:
        """Give the words that a file has vectors of those instead of random ones."""
        known = read_vectors(path, self.vocabulary.ids, self.config.embedding_dim)
        vectors = self.encoder.embedding.numpy()
        for word, vector in known.items():
            vectors[self.vocabulary.ids[word]] = vector
        self.encoder.embedding.assign(vectors)
        print(f"{len(known):,} of {len(self.vocabulary):,} words start from vectors of {path}")

    def _table(self, split: str, tuned: bool) -> TextTable:
        """Return a split's rows; say how many texts had to be cut."""
        del tuned
        texts, most = self.prepared.texts(split), self.config.max_words
        only = [text for _, text in texts]
        self.notes += note_cut(only, self.vocabulary, self.config, f"texts of {split}")
        rows = [np.array(self.vocabulary.encode(text, most), np.int32) for text in only]
        return TextTable(tuple(name for name, _ in texts), rows)

    # What an export takes.

    @property
    def signature(self) -> tf.TensorSpec:
        """The input of an export."""
        return tf.TensorSpec([None], tf.string, "text")

    def read_in_graph(self, texts: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Turn an export's input, at least one row, into the model's; a text needs a word."""
        ids = text_graph.encode(texts, self.vocabulary, self.config.max_words)
        return ids, tf.math.count_nonzero(ids, axis=1) > 2  # START and END stand in every row

    def write_assets(self, folder: Path) -> list[Path]:
        """Write what an export carries of the source beside its graph."""
        path = folder / "source-vocabulary.txt"
        self.vocabulary.save(path)
        return [path]

    def description(self) -> dict[str, Any]:
        """Return what an export's wordreel.json says of the input."""
        words = {"size": len(self.vocabulary), "hash": self.vocabulary.hash}
        return {"vocabulary": words, "max_words": self.config.max_words}
