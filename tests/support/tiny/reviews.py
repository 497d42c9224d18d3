"""A tiny sentiment model: a real source and head, on a handful of texts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras

from data.text.prepare import prepare_texts
from data.text.prepared import Texts
from pipelines.config.config import Config
from pipelines.tasks.assembly import Experiment, join
from pipelines.tasks.label_head import LabelHead
from pipelines.tasks.text_source import TextSource
from tests.support.source_files import fill

TEXTS = [
    ("a fine film", "good"),
    ("a poor film , sadly", "bad"),
    ("Été 狗 ⚽ fine", "good"),
    ("the film's hero isn't fine", "bad"),
    ("so so", "mixed"),
    ("neither fine nor poor", "mixed"),
]


def reviews(folder: Path) -> Texts:
    """Prepare the texts, all of them in train and, with a word more, in validation."""
    files = {
        "train.tsv": "".join(f"{text}\t{label}\n" for text, label in TEXTS),
        "dev.tsv": "".join(f"{text} indeed\t{label}\n" for text, label in TEXTS),
    }
    return prepare_texts("texts", fill(folder / "source", files), data_dir=folder / "home")


def tiny(folder: Path, **options: Any) -> Any:
    """Return an `Experiment` with random weights."""
    chosen = {"min_count": 1, "max_words": 5, "units": 6, "embedding_dim": 4, "batch_size": 2}
    config = Config(task="text-classification", data="texts", **(chosen | options))
    prepared = reviews(folder)
    keras.utils.set_random_seed(3)
    source = TextSource(config, prepared, folder / "run")
    head = LabelHead(config, prepared, folder / "run")
    model = join(config, source, head)
    for weight in model.weights:
        weight.assign(3.0 * weight)
    return Experiment(config, model, source, head)
