"""The datasets of texts, labelled or with translations, and how to prepare and read them.

    prepared = prepare_texts("sst2", "~/sst2")
    for text_id, text in prepared.texts("validation"):
        ...

Nothing heavy is imported: the command line lists datasets from here.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from data.annotations.entries import Problem
from data.annotations.problems import check_share, summary, write_report
from data.annotations.splits import into_splits
from data.common.errors import UserError
from data.storage.cache import data_home, say
from data.storage.dataset_info import DatasetInfo, info_of, source_folder
from data.storage.prepared import open_prepared
from data.text.labelled import READERS, Text, sort_out
from data.text.parallel import PAIR_READERS, Languages, Pair
from data.text.prepared import PreparedPairs, PreparedTexts

TFDS = "tfds:"
TEXT_DATASETS: Mapping[str, DatasetInfo] = {
    info.name: info
    for info in (
        DatasetInfo(
            "tfds:NAME",
            "texts with labels of TensorFlow Datasets: tfds:imdb_reviews, tfds:glue/sst2, …",
            False,
            "a TFDS data folder that has it; without --source TFDS's own, into which it is "
            "downloaded if need be",
        ),
        DatasetInfo(
            "synthetic-reviews",
            "made-up reviews in which the order of words decides, made on the spot",
            False,
            "nothing: made from a seed",
            made=True,
        ),
        DatasetInfo(
            "sst2",
            "film-review sentences, negative or positive (Socher et al. 2013)",
            True,
            "train.tsv and dev.tsv: sentence<TAB>label, with or without a header",
        ),
        DatasetInfo(
            "rt-polarity",
            "film-review snippets, negative or positive (Pang & Lee 2005)",
            True,
            "rt-polarity.pos and rt-polarity.neg in UTF-8, a text a line",
        ),
        DatasetInfo(
            "imdb",
            "50,000 film reviews, negative or positive (Maas et al. 2011)",
            True,
            "train/neg/, train/pos/, test/neg/ and test/pos/ with a text a file",
        ),
        DatasetInfo(
            "texts",
            "your own texts and labels, in any language",
            True,
            "texts.csv, .tsv or .jsonl (text, label and, if you like, split), or one such file a "
            "split: train, dev, test",
        ),
        DatasetInfo(
            "prepared",
            "labelled texts that `wordreel prepare` has stored",
            True,
            "the folder that was its --out",
        ),
    )
}


PAIR_DATASETS: Mapping[str, DatasetInfo] = {
    info.name: info
    for info in (
        DatasetInfo(
            "tfds:NAME",
            "translations of TensorFlow Datasets: tfds:ted_hrlr_translate/pt_to_en, …",
            False,
            "a TFDS data folder that has it; without --source TFDS's own, into which it is "
            "downloaded if need be",
        ),
        DatasetInfo(
            "synthetic-pairs",
            "English sentences of a small grammar and their German, made on the spot",
            False,
            "nothing: made from a seed",
            made=True,
        ),
        DatasetInfo(
            "multi30k",
            "30,000 captions in English, German, French and Czech (Elliott et al. 2016)",
            True,
            "{train,val,test}.{en,de,fr,cs}, each packed as .gz or not; --languages en-de unless "
            "you say otherwise",
        ),
        DatasetInfo(
            "pairs",
            "your own texts and their translations, in any two languages",
            True,
            "train.en and train.de, a sentence a line (or .gz), with --languages en-de; or "
            "train.tsv (or .csv): text, translation. Likewise dev and test, if you have them",
        ),
        DatasetInfo(
            "prepared",
            "texts with translations that `wordreel prepare` has stored",
            True,
            "the folder that was its --out",
        ),
    )
}


def prepare_texts(
    name: str,
    source: Path | str | None = None,
    *,
    pairs: bool | None = None,
    languages: str | None = None,
    data_dir: Path | str | None = None,
    max_bad: float = 0.01,
    seed: int = 0,
) -> Any:
    """Read a dataset of texts; what is wrong goes to a report file and to the screen.

    Args:
        name: a key of `TEXT_DATASETS` or `PAIR_DATASETS`, or "tfds:" and what TFDS calls one.
        source: the folder it lies in.
        pairs: whether it is one of `PAIR_DATASETS`; None: if its name stands only there.
        languages: of pairs, from which to which, such as "en-de"; None: as the source has them.
        data_dir: where the report goes; see `data.storage.cache.data_home`.
        max_bad: the share of texts that may be unusable, 0 to 1.
        seed: of what is made up; splits do not depend on it.

    Returns:
        `PreparedTexts`, or of `PAIR_DATASETS` `PreparedPairs`.

    Raises:
        UserError: for an unknown name, a source that is not there or not in the expected layout,
            labels that cannot be learned, too many bad texts, or a folder that cannot be written.
    """
    if pairs is None:
        pairs = name in PAIR_DATASETS and name not in TEXT_DATASETS
    info = info_of(name, PAIR_DATASETS if pairs else TEXT_DATASETS)
    folder = source_folder(info, source)
    if name == "prepared":
        assert folder is not None
        return _read_prepared_pairs(folder) if pairs else _read_prepared(folder)
    splits, classes, problems, notes = list_texts(
        name, folder, pairs=pairs, languages=languages, seed=seed
    )
    digest = hashlib.sha256(json.dumps(splits).encode()).hexdigest()[:16]
    report = data_home(data_dir) / name.replace("/", "-") / digest / "problems.jsonl"
    try:
        write_report(report, problems)
    except OSError as error:
        raise UserError(
            f"cannot write {report}: {error.strerror}; name another folder with WORDREEL_DATA_DIR"
        ) from error
    counts = {split: len(texts) for split, texts in splits.items()}
    total = sum(counts.values()) + len(problems)
    check_share(name, problems, total=total, max_bad=max_bad, report=report, kind="text")
    if not counts:
        raise UserError(f"{name}: no text can be used: {summary(problems)}; see {report}")
    for note in notes:
        say(f"{name}: {note}")
    said = ", ".join(f"{split} {count:,}" for split, count in counts.items())
    say(f"{name}: {said} texts" + (f" of {len(classes)} classes" if classes else ""))
    if problems:
        say(f"{name}: {summary(problems)}; each is named in {report}")
    if pairs:
        return PreparedPairs(name, digest, counts, report, splits)
    return PreparedTexts(name, digest, counts, report, splits, classes)


def _read_prepared(folder: Path) -> PreparedTexts:
    stored, examples = _stored(folder, Text._make, "text_id", "text", "label")
    classes = tuple(sorted({text.label for text in examples.get("train", ())}))
    return PreparedTexts(**stored, examples=examples, classes=classes)


def _read_prepared_pairs(folder: Path) -> PreparedPairs:
    stored, examples = _stored(folder, Pair._make, "text_id", "text", "translation")
    return PreparedPairs(**stored, examples=examples)


def _stored(
    folder: Path, make: Callable[[Iterable[Any]], Any], *fields: str
) -> tuple[dict[str, Any], dict[str, list[Any]]]:
    """Return what `open_prepared` tells, and the examples of each split."""
    import tensorflow_datasets as tfds

    stored = open_prepared(folder, *fields)
    del stored["directory"], stored["encoder"]
    builder = tfds.builder_from_directory(folder)
    one_by_one = tfds.ReadConfig(interleave_cycle_length=1, try_autocache=False)
    return stored, {
        split: [
            make([*(example[name].decode() for name in fields), split])
            for example in builder.as_dataset(split, read_config=one_by_one).as_numpy_iterator()
        ]
        for split in stored["splits"]
    }


def list_texts(
    name: str,
    folder: Path | None,
    *,
    pairs: bool = False,
    languages: str | None = None,
    seed: int = 0,
) -> tuple[Mapping[str, Sequence[Any]], tuple[str, ...], list[Problem], list[str]]:
    """Return the texts of each split, the classes of labelled ones, what is wrong, and remarks.

    Raises:
        UserError: for a source that cannot be read, or labels that cannot be learned.
    """
    try:
        if name in _MADE:
            made, classes = _MADE[name](seed)
            return made, classes, [], []
        if pairs:
            splits, problems, notes = into_splits(_pairs(name, folder, languages))
            return splits, (), problems, notes
        return sort_out(name, _labelled(name, folder))
    except OSError as error:
        raise UserError(f"cannot read {error.filename or folder}: {error.strerror}") from error


def _labelled(name: str, folder: Path | None) -> Iterable[Text]:
    if name.startswith(TFDS):
        from data.text.tfds import read_labelled

        return read_labelled(name.removeprefix(TFDS), folder)
    assert folder is not None
    return READERS[name](folder)


def _pairs(name: str, folder: Path | None, languages: str | None) -> Iterable[Pair]:
    chosen = Languages.parse(languages) if languages else None
    if name.startswith(TFDS):
        from data.text.tfds import read_translated

        return read_translated(name.removeprefix(TFDS), folder, chosen)
    assert folder is not None
    return PAIR_READERS[name](folder, chosen)


def _made_opinions(seed: int) -> tuple[dict[str, list[Text]], tuple[str, ...]]:
    from data.builtin.reviews import LABELS, SPLITS, synthetic_reviews

    splits = {
        split: [
            Text(f"{split}-{number}", text, label, split)
            for number, (text, label) in enumerate(synthetic_reviews(split, seed=seed))
        ]
        for split in SPLITS
    }
    return splits, LABELS


def _made_pairs(seed: int) -> tuple[dict[str, list[Pair]], tuple[str, ...]]:
    from data.builtin.parallel_corpus import SPLITS, synthetic_pairs

    splits = {
        split: [
            Pair(f"{split}-{number}", text, translation, split)
            for number, (text, translation) in enumerate(synthetic_pairs(split, seed=seed))
        ]
        for split in SPLITS
    }
    return splits, ()


_MADE: Mapping[str, Callable[[int], tuple[Mapping[str, Sequence[Any]], tuple[str, ...]]]] = {
    "synthetic-reviews": _made_opinions,
    "synthetic-pairs": _made_pairs,
}
