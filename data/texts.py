"""The datasets of labelled texts, and how to prepare and read them.

    prepared = prepare_texts("sst2", "~/sst2")
    for text_id, text in prepared.texts("validation"):
        ...

Nothing heavy is imported: the command line lists datasets from here.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from data.datasets import DatasetInfo, data_home, source_folder
from data.errors import UserError, unknown
from data.labelled import READERS, Text, sort_out
from data.problems import Problem, check_share, summary, write_report

TEXT_DATASETS: Mapping[str, DatasetInfo] = {
    info.name: info
    for info in (
        DatasetInfo(
            "opinions",
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
            "texts",
            "your own texts and labels, in any language",
            True,
            "texts.csv, .tsv or .jsonl (text, label and, if you like, split), or one such file a "
            "split: train, dev, test",
        ),
    )
}


@dataclasses.dataclass(frozen=True)
class PreparedTexts:
    """Labelled texts, in memory.

    Attributes:
        name: of the dataset.
        fingerprint: changes with the content.
        splits: the number of texts of each split.
        classes: the labels, sorted.
        problems: the report file, one JSON object a line.
        examples: the texts of each split.
    """

    name: str
    fingerprint: str
    splits: Mapping[str, int]
    classes: tuple[str, ...]
    problems: Path
    examples: Mapping[str, Sequence[Text]]

    def texts(self, split: str) -> list[tuple[str, str]]:
        """Return `(text_id, text)` of a split, or of a slice as TFDS writes it: "train[:95%]".

        Raises:
            UserError: for an unknown split, or a slice that is malformed or empty.
        """
        return [(text.text_id, text.text) for text in self._part(split)]

    def labels(self, split: str) -> list[tuple[str, str]]:
        """Return `(text_id, label)` in the order of `texts`."""
        return [(text.text_id, text.label) for text in self._part(split)]

    def _part(self, split: str) -> Sequence[Text]:
        match = re.fullmatch(r"\s*([\w-]+)\s*(?:\[\s*(-?\d+%?)?\s*:\s*(-?\d+%?)?\s*\])?\s*", split)
        if not match or match[1] not in self.examples:
            raise unknown("split", split, self.examples)
        texts = self.examples[match[1]]
        part = texts[bound(match[2], len(texts)) : bound(match[3], len(texts))]
        if not part:
            raise UserError(f"split {split!r} of {self.name} is empty: {len(texts):,} texts in all")
        return part


def bound(text: str | None, total: int) -> int | None:
    """Return a slice's bound as a number of texts.

    >>> bound("95%", 200), bound("-3", 200), bound(None, 200)
    (190, -3, None)
    """
    if text is None:
        return None
    return round(int(text[:-1]) * total / 100) if text.endswith("%") else int(text)


def prepare_texts(
    name: str,
    source: Path | str | None = None,
    *,
    data_dir: Path | str | None = None,
    max_bad: float = 0.01,
    seed: int = 0,
) -> PreparedTexts:
    """Read a dataset of labelled texts; what is wrong goes to a report file and to the screen.

    Args:
        name: a key of `TEXT_DATASETS`.
        source: the folder it lies in.
        data_dir: where the report goes; see `data.datasets.data_home`.
        max_bad: the share of texts that may be unusable, 0 to 1.
        seed: of the made-up reviews; splits do not depend on it.

    Raises:
        UserError: for an unknown name, a source that is not there or not in the expected layout,
            labels that cannot be learned, too many bad texts, or a folder that cannot be written.
    """
    if name not in TEXT_DATASETS:
        raise unknown("dataset", name, TEXT_DATASETS)
    folder = source_folder(TEXT_DATASETS[name], source)
    try:
        if folder is None:
            splits, classes, problems = _made(seed)
        else:
            splits, classes, problems = sort_out(name, READERS[name](folder))
    except OSError as error:
        raise UserError(f"cannot read {error.filename or source}: {error.strerror}") from error
    digest = hashlib.sha256(json.dumps(splits).encode()).hexdigest()[:16]
    report = data_home(data_dir) / name / digest / "problems.jsonl"
    try:
        write_report(report, problems)
    except OSError as error:
        raise UserError(
            f"cannot write {report}: {error.strerror}; name another folder with WORDREEL_DATA_DIR"
        ) from error
    counts = {split: len(texts) for split, texts in splits.items()}
    total = sum(counts.values()) + len(problems)
    check_share(name, problems, total=total, max_bad=max_bad, report=report, kind="text")
    said = ", ".join(f"{split} {count:,}" for split, count in counts.items())
    _say(f"{name}: {said} texts of {len(classes)} classes")
    if problems:
        _say(f"{name}: {summary(problems)}; each is named in {report}")
    return PreparedTexts(name, digest, counts, classes, report, splits)


def _made(seed: int) -> tuple[dict[str, list[Text]], tuple[str, ...], list[Problem]]:
    from data.opinions import LABELS, SPLITS, opinions

    splits = {
        split: [
            Text(f"{split}-{number}", text, label, split)
            for number, (text, label) in enumerate(opinions(split, seed=seed))
        ]
        for split in SPLITS
    }
    return splits, LABELS, []


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
