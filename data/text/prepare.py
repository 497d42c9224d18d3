"""Read the texts of a training run into memory; `wordreel prepare` can store them as well.

prepared = prepare_texts("sst2", "~/sst2")
texts = dict(prepared.texts("validation"))
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from data.annotations.entries import Entry, text_entry
from data.annotations.problems import check_share, summary, write_report
from data.common.errors import UserError
from data.storage.cache import data_home, log, source_cache, writing_to
from data.storage.dataset_info import PREPARED, Options, find_dataset, source_folder
from data.storage.prepared import open_prepared
from data.storage.tfds import read_in_order
from data.text.datasets import PAIR_DATASETS, TEXT_DATASETS, TextDataset
from data.text.prepared import Texts


def prepare_texts(
    name: str,
    source: Path | str | None = None,
    *,
    pairs: bool | None = None,
    languages: str | None = None,
    data_dir: Path | str | None = None,
    max_bad: float = 0.01,
    seed: int = 0,
) -> Texts:
    """Read a dataset of texts; problems go to a report file and, counted, to the screen.

    Args:
        name: of one of `TEXT_DATASETS` or `PAIR_DATASETS`, or "tfds:" and TFDS's own name.
        source: its folder.
        pairs: whether it is one of `PAIR_DATASETS`; None: if only these have its name.
        languages: of pairs, from which to which, such as "en-de"; None: as the source has them.
        data_dir: where the report goes; see `data.storage.cache.data_home`.
        max_bad: the share of texts that may be unusable, 0 to 1.
        seed: of generated texts.

    Raises:
        UserError: for an unknown name, a source without the expected layout, labels that cannot be
            learned, too many bad texts, or a folder that cannot be written.
    """
    labeled = {dataset.name: dataset for dataset in TEXT_DATASETS}
    paired = {dataset.name: dataset for dataset in PAIR_DATASETS}
    if pairs is None:
        pairs = name in paired and name not in labeled
    dataset = find_dataset(name, paired if pairs else labeled)
    folder = source_folder(dataset, source)
    if name == PREPARED:
        assert folder is not None
        return _open(folder, dataset)
    options = dataset.options({"seed": seed, "languages": languages})
    if dataset.source_optional:
        annotations = dataset.read_tfds(name, folder, options)
    else:
        home = data_home(data_dir)
        with writing_to(home):
            cache = source_cache(home, name, folder)
            annotations = dataset.load_annotations(folder, options, cache)
    entries, problems = annotations.entries, annotations.problems
    splits: dict[str, list[Entry]] = {}
    for entry in entries:
        splits.setdefault(entry.split, []).append(entry)
    digest = _fingerprint(dataset, options, splits)
    report = data_home(data_dir) / name.replace("/", "-") / digest / "problems.jsonl"
    with writing_to(report.parent):
        write_report(report, problems)
    total = len(entries) + len(problems)
    check_share(name, problems, total=total, max_bad=max_bad, report=report, kind="text")
    if not entries:
        raise UserError(f"{name}: no text can be used: {summary(problems)}; see {report}")
    for note in annotations.notes:
        log(f"{name}: {note}")
    prepared = Texts(name, digest, report, splits)
    listed = ", ".join(f"{split} {count:,}" for split, count in prepared.splits.items())
    classes = f" of {len(prepared.classes)} classes" if prepared.classes else ""
    log(f"{name}: {listed} texts{classes}")
    if problems:
        log(f"{name}: {summary(problems)}; each is named in {report}")
    return prepared


def _fingerprint(
    dataset: TextDataset, options: Options, splits: Mapping[str, Sequence[Entry]]
) -> str:
    """Return 16 hex digits of all texts: the hash of their JSON, which is never in memory."""
    digest, between = hashlib.sha256(b"{"), ""
    for split, entries in splits.items():
        digest.update(f"{between}{json.dumps(split)}: [".encode())
        for number, entry in enumerate(entries):
            row = [*dataset.load(entry, options).example.values(), split]
            digest.update((", " * (number > 0) + json.dumps(row)).encode())
        digest.update(b"]")
        between = ", "
    digest.update(b"}")
    return digest.hexdigest()[:16]


def _open(folder: Path, dataset: TextDataset) -> Texts:
    """Return the texts that `wordreel prepare` has written."""
    import tensorflow_datasets as tfds

    stored = open_prepared(folder, *dataset.stored)
    builder = tfds.builder_from_directory(folder)
    examples = dict[str, list[Entry]]()
    for split in stored["splits"]:
        found = read_in_order(builder, split)
        values = ((each[name].decode() for name in dataset.stored) for each in found)
        examples[split] = [
            text_entry(text_id, text, target, split, paired=dataset.paired)
            for text_id, text, target in values
        ]
    return Texts(stored["name"], stored["fingerprint"], stored["problems"], examples)
