"""The datasets of texts, with labels or translations, and how they are read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from data.annotations.balance import Example
from data.annotations.classes import classes_of
from data.annotations.entries import Annotations, Entry, Problem, text_entry
from data.annotations.splits import order_texts, text_examples, usable_texts
from data.builtin import parallel_corpus, reviews
from data.storage.dataset_info import (
    GENERATED_LICENSE,
    OWN_LICENSE,
    PREPARED,
    TFDS,
    Dataset,
    Generator,
    Loaded,
    Options,
)
from data.text.labeled import read_imdb, read_polarity, read_sst2, read_tables
from data.text.parallel import Languages, read_pairs


@dataclass(frozen=True, kw_only=True)
class TextDataset(Dataset):
    """Texts with labels or translations; an id is a file and a line.

    Attributes:
        reader: reads texts with labels from a folder.
        pair_reader: the same for translations; the languages are None if nobody gives them.
        languages: of a dataset with translations, unless the user gives others.
        held_out: the splits to choose from the training texts if the source does not have them.
    """

    annotations: tuple[str, ...] = ("labels",)
    reader: Callable[[Path], Iterable[Entry | Problem]] | None = None
    pair_reader: Callable[[Path, Languages | None], Iterable[Entry | Problem]] | None = None
    languages: Languages | None = None
    held_out: tuple[str, ...] = ("validation",)

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
    def file_flags(self) -> frozenset[str]:  # type: ignore[override]
        """The command-line options for texts that are read from files."""
        return frozenset({"languages"} if self.paired else ())

    def file_options(self, given: Options) -> dict[str, Any]:
        """Return the languages of pairs."""
        if not self.paired:
            return {}
        if languages := given.get("languages"):
            Languages.parse(languages)
        return {"languages": languages}

    def read(self, source: Path, options: Options) -> Annotations:
        """Return the texts of a folder."""
        if self.pair_reader is not None:
            texts = self.pair_reader(source, self._languages(options))
        else:
            assert self.reader is not None
            texts = self.reader(source)
        return usable_texts(texts, self.held_out)

    def read_tfds(self, name: str, source: Path | None, options: Options) -> Annotations:
        """Return the texts of "tfds:" and TFDS's own name, downloaded if there is no source."""
        from data.text.tfds import read_labeled, read_translated

        own = name.removeprefix(TFDS)
        if self.paired:
            texts = read_translated(own, source, self._languages(options))
        else:
            texts = read_labeled(own, source)
        return self.complete(usable_texts(texts, self.held_out))

    def _languages(self, options: Options) -> Languages | None:
        given = options.get("languages")
        return Languages.parse(given) if given else self.languages

    def examples(self, entries: Sequence[Entry], cache: Path | None) -> list[Example]:
        """Return what decides the splits of texts."""
        del cache
        return text_examples(entries)

    def check(self, annotations: Annotations) -> Annotations:
        """Order the texts; labels must be learnable."""
        annotations = order_texts(annotations)
        if not self.paired:
            labels = ((each.split, each.image_id, each.label) for each in annotations.entries)
            classes_of(self.name, labels, "text")
        return annotations

    def load(self, entry: Entry, options: Options) -> Loaded:
        """Return a text as it is stored."""
        del options
        label = () if self.paired else (entry.label,)
        values = (entry.image_id, *entry.captions, *label)
        return Loaded(dict(zip(self.stored, values, strict=True)))

    def features(self) -> dict[str, Any]:
        """Return the stored features."""
        import tensorflow_datasets as tfds

        return {name: tfds.features.Text() for name in self.stored}


def _generator(
    splits: Iterable[str], generate: Callable[..., list[tuple[str, str]]], *, paired: bool
) -> Generator:
    def entries(seed: int) -> Iterator[Entry]:
        for split in splits:
            for number, (text, target) in enumerate(generate(split, seed=seed)):
                yield text_entry(f"{split}-{number}", text, target, split, paired=paired)

    return Generator(entries)


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
        generator=lambda: _generator(reviews.SPLITS, reviews.synthetic_reviews, paired=False),
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
        held_out=("validation", "test"),
    ),
    TextDataset(PREPARED, "labeled texts that `wordreel prepare` has written", "its output folder"),
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
        generator=lambda: _generator(
            parallel_corpus.SPLITS, parallel_corpus.synthetic_pairs, paired=True
        ),
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
        held_out=("validation", "test"),
    ),
    TextDataset(
        PREPARED,
        "texts with translations that `wordreel prepare` has written",
        "its output folder",
        annotations=_TRANSLATIONS,
    ),
)
