"""Captions or translations as the output of a task: vocabulary, batches, scores and search."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from data.common.errors import UserError
from data.media.vocabulary import Vocabulary
from models.encoder_head import EncoderHead
from models.search.hypotheses import SearchOptions
from pipelines.config.config import Config
from pipelines.config.monitor import SCORES, find_monitor
from pipelines.config.renamed import current_fields
from pipelines.config.task import TASKS
from pipelines.evaluation.captions import Evaluation as CaptionEvaluation
from pipelines.evaluation.captions import Prediction, compile_search, decode, score, search_name
from pipelines.evaluation.loss import caption_loss, compile_loss
from pipelines.evaluation.metrics.captions import CAPTIONS, Metrics
from pipelines.evaluation.metrics.translation import TRANSLATIONS
from pipelines.inputs.batches import Batch, Captions, caption_batches, note_lengths
from pipelines.inputs.tables import Table
from pipelines.reports.captions import caption_report
from pipelines.reports.page import SplitReport
from pipelines.reports.thumbnails import PreviewOf
from pipelines.task_models.parts import decoder, search_options
from pipelines.task_models.preprocessor import Sentences
from pipelines.tasks.initialization import Rows, load_vocabulary, match_rows
from pipelines.tasks.protocols import CaptionedDataset, Evaluation, Predict, PreparedDataset

VOCABULARY = "vocabulary.txt"  # in a run directory
METRICS: Mapping[str, Metrics] = {"caption": CAPTIONS, "translation": TRANSLATIONS}  # by answer


class CaptionHead:
    """The captions of a prepared dataset, and the part of the model that generates them.

    Attributes, in addition to those of `Head`:
        vocabulary: the words of the training captions.
        options: of the beam search, shared by validation, evaluation and the export.
    """

    def __init__(self, config: Config, prepared: CaptionedDataset, run_dir: Path) -> None:
        """Build the vocabulary, or read the one that an earlier start of this run has built.

        Raises:
            UserError: if the training split has no captions.
        """
        self.config, self.prepared = config, prepared
        self._captions = functools.cache(prepared.captions)  # reading them may read all records
        self.options = search_options(config)
        self.metrics = METRICS[TASKS[config.task].answer]
        self.curves: Sequence[str] = self.metrics.curves
        self.notes: list[str] = []
        self.monitor = self._choose_monitor()
        self.vocabulary = load_vocabulary(run_dir / VOCABULARY, self._training_texts, config)
        self.layer = decoder(config, self.vocabulary)
        self.preprocessing = Sentences(self.vocabulary, config.max_words)
        self._examples: Captions | None = None
        self._search: Callable[[Any], Any] | None = None
        self._loss: Callable[[Any], Any] | None = None

    def has_references(self, split: str) -> bool:
        """Return whether a split has an example with captions."""
        return bool(self._captions(split))

    def examples(self, table: Table) -> Captions:
        """Return the training captions as word ids, with the table rows of their inputs."""
        if self._examples is None:
            max_words = self.config.max_words
            self.notes += note_lengths(
                self.texts(self.config.train_split),
                self.vocabulary,
                max_words,
                "training captions",
            )
            captions = self._captions(self.config.train_split)
            positions = table.positions()
            self._examples = Captions.encode(captions, self.vocabulary, positions, max_words)
        return self._examples

    def steps_per_epoch(self) -> int:
        """Return the number of batches of an epoch."""
        return -(-len(self.texts(self.config.train_split)) // self.config.batch_size)

    def batches(self, table: Table, epoch: int, skip: int) -> Iterable[Batch]:
        """Return the training batches of an epoch from number `skip` on."""
        config = self.config
        return caption_batches(
            self.examples(table),
            table,
            config.batch_size,
            per_row=config.captions_per_image if config.tunes(epoch) else 0,
            seed=config.seed,
            epoch=epoch,
            skip=skip,
        )

    def evaluate(self, model: EncoderHead, table: Table, split: str) -> CaptionEvaluation:
        """Return the captions that beam search finds for a split, and their scores."""
        if self._search is None:
            self._search = compile_search(model, self.options)
        ids = [name for name, _ in self._captions(split)]
        predictions = decode(self._search, self.vocabulary, table, ids)
        return score(predictions, self.prepared, split, search_name(self.options), self.metrics)

    def validation_loss(self, model: EncoderHead, table: Table, evaluation: Evaluation) -> float:
        """Return the mean cross-entropy of the next words of all captions of the split."""
        if self._loss is None:
            self._loss = compile_loss(model)
        captions = self.prepared.captions(evaluation.split)
        words = self.config.max_words
        encoded = Captions.encode(captions, self.vocabulary, table.positions(), words)
        return caption_loss(self._loss, encoded, table)

    @staticmethod
    def evaluate_export(
        info: Mapping[str, Any], prepared: PreparedDataset, split: str, predict: Predict
    ) -> CaptionEvaluation:
        """Return the scores of an export; an invalid input has an empty caption."""
        dataset = cast(CaptionedDataset, prepared)  # as all datasets of tasks with this head
        answer: str = info["answer"]
        outputs = predict([name for name, _ in dataset.captions(split)])
        predictions = {
            name: Prediction(["" if isinstance(found, str) else found[answer].decode()])
            for name, found in outputs.items()
        }
        options = SearchOptions(**current_fields(info["search"]))
        return score(predictions, dataset, split, search_name(options), METRICS[answer])

    def split_report(self, evaluation: Evaluation, preview_of: PreviewOf) -> SplitReport:
        """Return the report of a split: scores, samples, best and worst captions, attention."""
        assert isinstance(evaluation, CaptionEvaluation)
        return caption_report(evaluation, preview_of)

    def texts(self, split: str) -> list[str]:
        """Return the captions of a split."""
        return [text for _, texts in self._captions(split) for text in texts]

    def _training_texts(self) -> list[str]:
        texts = self.texts(self.config.train_split)
        if not texts:
            raise UserError(f"{self.prepared.name}: {self.config.train_split!r} has no captions")
        return texts

    def rows_from(self, run: Path) -> dict[str, Rows]:
        """Return the words of another run as the sources of the weights, see `copy_weights`."""
        old = Vocabulary.load(run / VOCABULARY)
        known = match_rows(self.vocabulary.words, old.words)
        return {"embedding": Rows(0, known), "bias": Rows(0, known)}

    def _choose_monitor(self) -> str:
        """Return the score that selects the best epoch."""
        split, is_true = self.config.validation_split, self.prepared.is_true
        if self.config.monitor is not None:
            several = any(len(texts) > 1 for _, texts in self._captions(split))
            lacking = [*["WER"] * several, *["fully_correct"] * (is_true is None)]
            known = SCORES[TASKS[self.config.task].answer]
            scores = [name for name in known if name not in lacking]
            return find_monitor(self.config.monitor, scores)
        if is_true:
            return "fully_correct"
        if self.metrics.monitor != "CIDEr-D" or len(self._captions(split)) > 1:
            return self.metrics.monitor
        # The document frequencies of one image give every n-gram a weight of 0.
        note = f"{split!r} has one example, whose CIDEr-D is always 0: ROUGE-L selects the epoch"
        self.notes.append(note)
        print(note)
        return "ROUGE-L"
