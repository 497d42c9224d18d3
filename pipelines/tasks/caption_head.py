"""Sentences as the output of a task: their words, batches, scores and search."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from data.common.errors import UserError
from data.media.vocabulary import Vocabulary
from data.storage.prepared import Drawn
from models.heads.sequence_decoder import SequenceDecoder
from pipelines.config.config import Config
from pipelines.config.task import TASKS
from pipelines.evaluation.captions import Decoder, Evaluation, evaluate, search_options
from pipelines.export.captions import export
from pipelines.inputs.batches import Captions, note_cut, training_batches
from pipelines.reports.page import write_report


class CaptionHead:
    """The sentences of a prepared dataset, and the part of the model that makes them.

    Attributes:
        vocabulary: the words of the training sentences.
        layer: Memory → words.
        monitor: the score by which the best epoch is chosen.
    """

    def __init__(self, config: Config, prepared: Any, run_dir: Path) -> None:
        """Collect the words, or read those that an earlier start of this run collected."""
        self.config, self.prepared = config, prepared
        self.options = search_options(config)
        self.metrics = TASKS[config.task].metrics()
        self.monitor = "fully_correct" if isinstance(prepared, Drawn) else self.metrics.monitor
        self._notes: list[str] = []
        if self.monitor == "CIDEr-D" and len(prepared.captions(config.validation_split)) == 1:
            self.monitor = "ROUGE-L"  # a word that occurs in every picture weighs nothing in CIDEr
            self._notes.append(
                f"{config.validation_split!r} has one example, of which CIDEr-D is always 0: "
                "ROUGE-L picks the best epoch"
            )
            print(self._notes[0])
        path = run_dir / "vocabulary.txt"
        if not path.exists():
            examples = prepared.captions(config.train_split)
            captions = [text for _, texts in examples for text in texts]
            if not captions:
                raise UserError(f"{prepared.name}: {config.train_split!r} has no captions")
            Vocabulary.build(captions, config.min_count, marks=config.keep_punctuation).save(path)
        self.vocabulary = Vocabulary.load(path)
        self.layer = SequenceDecoder(
            len(self.vocabulary),
            decoder=config.decoder,
            cell=config.cell,
            units=config.units,
            embedding=config.units,
            dropout=config.dropout,
        )
        self._examples: Captions | None = None
        self._decoder: Decoder | None = None

    def told(self, split: str) -> list[tuple[str, list[str]]]:
        """Return the id and the sentences of each example of a split that has some."""
        captions: list[tuple[str, list[str]]] = self.prepared.captions(split)
        return captions

    def examples(self, source: Any) -> Captions:
        """Return the training sentences as ids, with the rows of their inputs."""
        if self._examples is None:
            config = self.config
            positions = source.table(config.train_split, source.tuned(0)).positions()
            captions = self.prepared.captions(config.train_split)
            sentences = [text for _, texts in captions for text in texts]
            source.notes += self._notes
            source.notes += note_cut(sentences, self.vocabulary, config, "sentences to learn")
            self._examples = Captions.of(captions, self.vocabulary, positions, config.max_words)
        return self._examples

    def steps_per_epoch(self, source: Any) -> int:
        """Return the number of batches in an epoch."""
        return -(-len(self.examples(source).tokens) // self.config.batch_size)

    def batches(self, source: Any, epoch: int, skip: int) -> Iterable[Any]:
        """Return the batches of an epoch from number `skip` on."""
        config = self.config
        return training_batches(
            self.examples(source),
            source.table(config.train_split, source.tuned(epoch)),
            config.batch_size,
            together=config.captions_per_image if source.tuned(epoch) else 0,
            seed=config.seed,
            epoch=epoch,
            skip=skip,
        )

    def evaluate(self, model: Any, source: Any, split: str, epoch: int) -> Evaluation:
        """Decode a split with the model as it is after an epoch, and score it."""
        if self._decoder is None:
            self._decoder = Decoder(model, self.vocabulary, self.options)
        table = source.table(split, source.tuned(epoch))
        return evaluate(self._decoder, self.options, table, self.prepared, split, self.metrics)

    def export(self, model: Any, source: Any, directory: Path, info: Mapping[str, Any]) -> Path:
        """Write the model with its search as a SavedModel; return its folder."""
        info = {"task": self.config.task, **info}
        answer = TASKS[self.config.task].answer
        return export(model, source, self.vocabulary, self.options, directory, info, answer)

    def report(self, path: Path, source: Any, **facts: Any) -> None:
        """Write the report; `facts` are those that `write_report` takes of any head."""
        curves, monitor = self.metrics.curves, self.monitor
        write_report(path, preview_of=source.shown, curves=curves, monitor=monitor, **facts)
