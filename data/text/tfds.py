"""Texts of TensorFlow Datasets, with labels or translations.

The readers raise a UserError for a dataset that cannot be found or has other features.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from data.annotations.entries import Entry, text_entry
from data.annotations.splits import SPLITS
from data.common.errors import UserError
from data.storage.tfds import find_or_download, read_in_order
from data.text.parallel import Languages


def read_labeled(name: str, source: Path | None) -> Iterator[Entry]:
    """Read a dataset with a text and a label, such as imdb_reviews or glue/sst2.

    A test split with secret labels (-1) is left out.
    """
    builder, tfds = _builder(name, source)
    features = builder.info.features
    texts, labels = (
        [key for key, feature in features.items() if isinstance(feature, kind)]
        for kind in (tfds.features.Text, tfds.features.ClassLabel)
    )
    if len(texts) != 1 or len(labels) != 1:
        raise _unfit(name, "labeled texts", features)
    for text_id, split, example in _examples(builder):
        label = int(example[labels[0]])
        if label >= 0:
            text = example[texts[0]].decode().replace("<br />", " ").strip()
            yield text_entry(text_id, text, features[labels[0]].int2str(label), split)


def read_translated(name: str, source: Path | None, languages: Languages | None) -> Iterator[Entry]:
    """Read a dataset of translations, such as ted_hrlr_translate/pt_to_en."""
    builder, tfds = _builder(name, source)
    features = builder.info.features
    keys = languages or builder.info.supervised_keys
    if not isinstance(features, tfds.features.Translation) or any(k not in features for k in keys):
        raise _unfit(name, " ".join(["translations", *(languages or ())]), features)
    for text_id, split, example in _examples(builder):
        text, translation = (example[key].decode().strip() for key in keys)
        yield text_entry(text_id, text, translation, split, paired=True)


def _builder(name: str, source: Path | None) -> tuple[Any, Any]:
    """Return the builder of a dataset, and TFDS, which is slow to import."""
    directory, _ = find_or_download(name, source)
    import tensorflow_datasets as tfds

    return tfds.builder_from_directory(directory), tfds


def _unfit(name: str, what: str, features: Any) -> UserError:
    return UserError(f"tfds:{name} holds no {what}: its features are {', '.join(features)}")


def _examples(builder: Any) -> Iterator[tuple[str, str, Any]]:
    """Yield the id, split and features of each example of the splits that are known."""
    for name in filter(SPLITS.__contains__, builder.info.splits):
        for number, example in enumerate(read_in_order(builder, name)):
            yield f"{name}:{number}", SPLITS[name], example
