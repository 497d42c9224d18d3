"""Read the texts of a training run.

    prepared = prepare_texts("sst2", "~/sst2")
    for text_id, text in prepared.texts("validation"):
        ...

Each run reads them into memory; `wordreel prepare` can store them as well.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from data.annotations.entries import TextExample
from data.annotations.problems import check_share, summary, write_report
from data.common.errors import UserError
from data.storage.cache import data_home, log, writing_to
from data.storage.dataset_info import PREPARED, check_max_bad, find_dataset, source_folder
from data.storage.prepared import open_prepared
from data.text.datasets import PAIR_DATASETS, TEXT_DATASETS
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
        seed: of generated texts; splits do not depend on it.

    Raises:
        UserError: for an unknown name, a source that does not exist or does not have the expected
            layout, labels that cannot be learned, too many bad texts, or a folder that cannot be
            written.
    """
    labeled = {dataset.name: dataset for dataset in TEXT_DATASETS}
    paired = {dataset.name: dataset for dataset in PAIR_DATASETS}
    if pairs is None:
        pairs = name in paired and name not in labeled
    dataset = find_dataset(name, paired if pairs else labeled)
    folder = source_folder(dataset, source)
    check_max_bad(max_bad)
    if name == PREPARED:
        assert folder is not None
        return _open(folder, dataset.stored, pairs)
    given = {"seed": seed, "languages": languages}
    splits, classes, problems, notes = dataset.read(name, folder, dataset.options(given))
    digest = hashlib.sha256(json.dumps(splits).encode()).hexdigest()[:16]
    report = data_home(data_dir) / name.replace("/", "-") / digest / "problems.jsonl"
    with writing_to(report.parent):
        write_report(report, problems)
    counts = {split: len(texts) for split, texts in splits.items()}
    total = sum(counts.values()) + len(problems)
    check_share(name, problems, total=total, max_bad=max_bad, report=report, kind="text")
    if not counts:
        raise UserError(f"{name}: no text can be used: {summary(problems)}; see {report}")
    for note in notes:
        log(f"{name}: {note}")
    listed = ", ".join(f"{split} {count:,}" for split, count in counts.items())
    log(f"{name}: {listed} texts" + (f" of {len(classes)} classes" if classes else ""))
    if problems:
        log(f"{name}: {summary(problems)}; each is named in {report}")
    return Texts(name, digest, counts, report, splits, classes)


def _open(folder: Path, features: tuple[str, ...], paired: bool) -> Texts:
    """Return the texts that `wordreel prepare` has written."""
    import tensorflow_datasets as tfds

    stored = open_prepared(folder, *features)
    builder = tfds.builder_from_directory(folder)
    one_by_one = tfds.ReadConfig(interleave_cycle_length=1, try_autocache=False)
    examples = {
        split: [
            TextExample._make([*(example[name].decode() for name in features), split])
            for example in builder.as_dataset(split, read_config=one_by_one).as_numpy_iterator()
        ]
        for split in stored["splits"]
    }
    train = () if paired else examples.get("train", ())
    classes = tuple(sorted({text.target for text in train}))
    fields = {name: stored[name] for name in ("name", "fingerprint", "splits", "problems")}
    return Texts(**fields, examples=examples, classes=classes)
