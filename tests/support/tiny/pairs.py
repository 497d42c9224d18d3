"""A tiny translator: a real source and head, on a handful of pairs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np

from data.media.vocabulary import END
from data.text.prepare import prepare_texts
from data.text.prepared import Texts
from pipelines.config.config import Config
from pipelines.tasks.assembly import Experiment, join
from pipelines.tasks.caption_head import CaptionHead
from pipelines.tasks.text_source import TextSource
from tests.support.source_files import fill

PAIRS = {
    "A dog sleeps.": "Ein Hund schläft.",
    "Two dogs, a cat.": "Zwei Hunde, eine Katze.",
    "Is the (old) man here?": "Ist der (alte) Mann hier?",
    "The man's hat": "Der Hut des Mannes",
    "Été 狗 ⚽!": "Sommer 狗 ⚽!",
}


def pairs(folder: Path) -> Texts:
    """Prepare the pairs, all of them in train and, with a word more, in validation."""
    files = {
        "train.en": "".join(f"{text}\n" for text in PAIRS),
        "train.de": "".join(f"{text}\n" for text in PAIRS.values()),
        "val.en": "".join(f"Now {text}\n" for text in PAIRS),
        "val.de": "".join(f"Jetzt {text}\n" for text in PAIRS.values()),
    }
    source, home = fill(folder / "source", files), folder / "home"
    return prepare_texts("pairs", source, languages="en-de", data_dir=home)


def tiny(folder: Path, **options: Any) -> Any:
    """Return an `Experiment` whose random weights generate varied sentences."""
    chosen: dict[str, Any] = {
        "min_count": 1,
        "max_words": 7,
        "min_words": 1,
        "keep_punctuation": True,
        "units": 8,
        "embedding_dim": 6,
        "batch_size": 2,
        "beams": 3,
        "n_best": 2,
    }
    config = Config(task="translation", data="pairs", **(chosen | options))
    prepared = pairs(folder)
    keras.utils.set_random_seed(3)
    source = TextSource(config, prepared, folder / "run")
    head = CaptionHead(config, prepared, folder / "run")
    model = join(config, source, head)
    for weight in model.weights:
        weight.assign(3.0 * weight)
    head.layer.bias.assign(np.where(np.arange(len(head.vocabulary)) == END, 2.0, 0.0))
    return Experiment(config, model, source, head)
