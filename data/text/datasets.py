"""The datasets of texts, with labels or translations, and how they are read.

Heavy modules are imported inside functions: the command line lists the datasets.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from data.annotations.classes import classes_of
from data.annotations.entries import Annotations, Entry, Problem, TextExample
from data.annotations.splits import into_splits
from data.common.errors import UserError
from data.storage.cache import log
from data.storage.dataset_info import (
    GENERATED_LICENSE,
    OWN_LICENSE,
    PREPARED,
    TFDS,
    Dataset,
    Loaded,
    Options,
)
from data.text.labeled import read_imdb, read_polarity, read_sst2, read_tables
from data.text.parallel import Languages, read_pairs


class TextAnnotations(NamedTuple):
    """The texts of each split, the classes if they have labels, problems, and notes to print."""

    splits: Mapping[str, Sequence[TextExample]]
    classes: tuple[str, ...] = ()
    problems: Sequence[Problem] = ()
    notes: Sequence[str] = ()


PairReader = Callable[[Path, Languages | None], Iterable[TextExample]]


@dataclass(frozen=True)
class TextDataset(Dataset):
    """Texts with labels or translations; an id is a file and a line.

    Attributes:
        reader: reads texts with labels from a folder.
        pair_reader: reads texts with translations from a folder; the languages are None if neither
            the user nor the dataset gives them.
        languages: of a dataset with translations, unless the user gives others.
        generator: generates the texts of each split from a seed.
    """

    annotations: tuple[str, ...] = field(default=("labels",), kw_only=True)
    reader: Callable[[Path], Iterable[TextExample]] | None = field(default=None, kw_only=True)
    pair_reader: PairReader | None = field(default=None, kw_only=True)
    languages: Languages | None = field(default=None, kw_only=True)
    generator: Callable[[int], TextAnnotations] | None = field(default=None, kw_only=True)

    content: ClassVar[str] = ""
    id_feature: ClassVar[str] = "text_id"
    shard_size: ClassVar[int] = 4096

    @property
    def paired(self) -> bool:
        """Whether the texts have translations, not labels."""
        return "translations" in self.annotations

    @property
    def unit(self) -> str:  # type: ignore[override]
        """The noun for several examples in messages."""
        return "pairs" if self.paired else "texts"

    @property
    def stored(self) -> tuple[str, ...]:
        """The names of the stored features."""
        return ("text_id", "text", "translation" if self.paired else "label")

    @property
    def texts(self) -> tuple[str, ...]:
        """The names of the captions of an entry."""
        return ("text", "translation") if self.paired else ("text",)

    @property
    def flags(self) -> frozenset[str]:
        """The command-line options that it accepts."""
        if self.generated:
            return frozenset({"seed"})
        return frozenset({"languages"} if self.paired else ())

    def options(self, given: Options) -> dict[str, Any]:
        """Return the seed of generated texts, the languages of other pairs."""
        if self.generated:
            return {"seed": given.get("seed", 0)}
        if not self.paired:
            return {}
        if languages := given.get("languages"):
            Languages.parse(languages)
        return {"languages": languages}

    def read(self, name: str, source: Path | None, options: Options) -> TextAnnotations:
        """Read the texts of a source.

        Args:
            name: of the dataset, with TFDS's own name after "tfds:".
            source: the folder.
            options: see `options`.

        Raises:
            UserError: for a source that cannot be read, or labels that cannot be learned.
        """
        if self.generator is not None:
            return self.generator(options["seed"])
        try:
            examples = self._read_examples(name, source, options)
            splits, problems, notes = into_splits(examples, paired=self.paired)
        except OSError as error:
            raise UserError(f"cannot read {error.filename or source}: {error.strerror}") from error
        if self.paired:
            return TextAnnotations(splits, (), problems, notes)
        labels = ((split, text.text_id, text.target) for split in splits for text in splits[split])
        return TextAnnotations(splits, classes_of(name, labels, "text"), problems, notes)

    def _read_examples(
        self, name: str, source: Path | None, options: Options
    ) -> Iterable[TextExample]:
        given = options.get("languages")
        languages = Languages.parse(given) if given else self.languages
        if self.source_optional:
            from data.text.tfds import read_labeled, read_translated

            own = name.removeprefix(TFDS)
            if self.paired:
                return read_translated(own, source, languages)
            return read_labeled(own, source)
        assert source is not None
        if self.pair_reader is not None:
            return self.pair_reader(source, languages)
        assert self.reader is not None
        return self.reader(source)

    def load_annotations(self, source: Path | None, options: Options) -> Annotations:
        """Return the texts, each as the captions of its entry; print notes."""
        splits, _, problems, notes = self.read(self.name, source, options)
        entries = tuple(
            Entry(
                text.text_id,
                text.text_id,
                "",
                (text.text, text.target) if self.paired else (text.text,),
                split,
                "" if self.paired else text.target,
            )
            for split, texts in splits.items()
            for text in texts
        )
        for note in notes:
            log(f"{self.name}: {note}")
        return Annotations(entries, tuple(problems), tuple(notes))

    def load(self, entry: Entry, options: Options) -> Loaded:
        """Return a text as it is stored."""
        del options
        annotation = () if self.paired else (entry.label,)
        values = (entry.image_id, *entry.captions, *annotation)
        return Loaded(dict(zip(self.stored, values, strict=True)))

    def features(self) -> dict[str, Any]:
        """Return the stored features."""
        import tensorflow_datasets as tfds

        return {name: tfds.features.Text() for name in self.stored}


def _reviews(seed: int) -> TextAnnotations:
    from data.builtin.reviews import LABELS, SPLITS, synthetic_reviews

    return _generated({split: synthetic_reviews(split, seed=seed) for split in SPLITS}, LABELS)


def _synthetic_pairs(seed: int) -> TextAnnotations:
    from data.builtin.parallel_corpus import SPLITS, synthetic_pairs

    return _generated({split: synthetic_pairs(split, seed=seed) for split in SPLITS})


def _generated(
    splits: Mapping[str, Sequence[tuple[str, str]]], classes: tuple[str, ...] = ()
) -> TextAnnotations:
    examples = {
        split: [
            TextExample(f"{split}-{number}", text, target, split)
            for number, (text, target) in enumerate(texts)
        ]
        for split, texts in splits.items()
    }
    return TextAnnotations(examples, classes)


_REVIEWS = "none stated by its distributor; excerpts from film reviews by their authors"
_TFDS_FOLDER = (
    "a TFDS data folder that contains it; without --source TFDS's own folder, into which it is "
    "downloaded if it is missing"
)
_TRANSLATIONS = ("translations",)

TEXT_DATASETS = (
    TextDataset(
        "tfds:NAME",
        "texts with labels of TensorFlow Datasets: tfds:imdb_reviews, tfds:glue/sst2, …",
        _TFDS_FOLDER,
        source_optional=True,
    ),
    TextDataset(
        "synthetic-reviews",
        "synthetic reviews in which the order of words decides the label",
        "no files: generated from a seed",
        generator=_reviews,
        license=GENERATED_LICENSE,
    ),
    TextDataset(
        "sst2",
        "film-review sentences, negative or positive (Socher et al. 2013)",
        "train.tsv and dev.tsv: sentence<TAB>label, with or without a header",
        reader=read_sst2,
        license=_REVIEWS,
    ),
    TextDataset(
        "rt-polarity",
        "film-review snippets, negative or positive (Pang & Lee 2005)",
        "rt-polarity.pos and rt-polarity.neg in UTF-8, a text a line",
        reader=read_polarity,
        license=_REVIEWS,
    ),
    TextDataset(
        "imdb",
        "50,000 film reviews, negative or positive (Maas et al. 2011)",
        "train/neg/, train/pos/, test/neg/ and test/pos/ with a text a file",
        reader=read_imdb,
    ),
    TextDataset(
        "texts",
        "your own texts and labels, in any language",
        "texts.csv, .tsv or .jsonl (text, label and optionally split), or one such file for each "
        "split: train, dev, test",
        reader=read_tables,
        license=OWN_LICENSE,
    ),
    TextDataset(
        PREPARED,
        "labeled texts that `wordreel prepare` has written",
        "its output folder",
    ),
)

PAIR_DATASETS = (
    TextDataset(
        "tfds:NAME",
        "translations of TensorFlow Datasets: tfds:ted_hrlr_translate/pt_to_en, …",
        _TFDS_FOLDER,
        annotations=_TRANSLATIONS,
        source_optional=True,
    ),
    TextDataset(
        "synthetic-pairs",
        "synthetic English sentences of a small grammar and their German translations",
        "no files: generated from a seed",
        annotations=_TRANSLATIONS,
        generator=_synthetic_pairs,
        license=GENERATED_LICENSE,
    ),
    TextDataset(
        "multi30k",
        "30,000 captions in English, German, French and Czech (Elliott et al. 2016)",
        "{train,val,test}.{en,de,fr,cs}, or the same files as .gz; --languages en-de unless "
        "others are given",
        annotations=_TRANSLATIONS,
        pair_reader=read_pairs,
        languages=Languages("en", "de"),
    ),
    TextDataset(
        "pairs",
        "your own texts and their translations, in any two languages",
        "train.en and train.de, a sentence a line (or .gz), with --languages en-de; or "
        "train.tsv (or .csv): text, translation. The same for dev and test, if you have them",
        annotations=_TRANSLATIONS,
        pair_reader=read_pairs,
        license=OWN_LICENSE,
    ),
    TextDataset(
        PREPARED,
        "texts with translations that `wordreel prepare` has written",
        "its output folder",
        annotations=_TRANSLATIONS,
    ),
)
