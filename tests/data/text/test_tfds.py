"""Texts that TensorFlow Datasets has prepared, labeled or in two languages."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import tensorflow_datasets as tfds

from data.common.errors import UserError
from data.text.prepare import prepare_texts

pytestmark = pytest.mark.filterwarnings(r"ignore:label\(\) is deprecated:DeprecationWarning")


class TinyReviews(tfds.core.GeneratorBasedBuilder, skip_registration=True):  # type: ignore[call-arg]
    """A dataset like imdb_reviews: no validation split, HTML line breaks."""

    VERSION = tfds.core.Version("1.0.0")
    name = "tiny_reviews"
    url_infos: dict[str, Any] = {}  # noqa: RUF012

    def _info(self) -> Any:
        label = tfds.features.ClassLabel(names=["neg", "pos"])
        features = tfds.features.FeaturesDict({"text": tfds.features.Text(), "label": label})
        return tfds.core.DatasetInfo(builder=self, features=features)

    def _split_generators(self, manager: Any) -> Any:
        del manager
        return {"train": self._generate_examples(60), "test": self._generate_examples(4, "new ")}

    def _generate_examples(self, count: int, kind: str = "") -> Iterator[Any]:
        for n in range(count):
            yield n, {"text": f"a {kind}film<br />number {n}", "label": n % 2}


class TinyTed(TinyReviews, skip_registration=True):  # type: ignore[call-arg]
    """A dataset like ted_hrlr_translate."""

    name = "tiny_ted"

    def _info(self) -> Any:
        return tfds.core.DatasetInfo(
            builder=self,
            features=tfds.features.Translation(languages=("pt", "en")),
            supervised_keys=("pt", "en"),
        )

    def _generate_examples(self, count: int, kind: str = "") -> Iterator[Any]:
        for n in range(count):
            yield n, {"pt": f"filme {kind}{n}", "en": f"film {kind}{n}"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tfds")
    for builder in (TinyReviews, TinyTed):
        builder(data_dir=path).download_and_prepare(download_dir=path / "downloads")
    return path


def test_labeled_texts(folder: Path, tmp_path: Path) -> None:
    prepared = prepare_texts("tfds:tiny_reviews", folder, data_dir=tmp_path)
    assert prepared.classes == ("neg", "pos")
    assert prepared.splits["train"] + prepared.splits["validation"] == 60
    assert prepared.splits["test"] == 4 and 1 <= prepared.splits["validation"] <= 14
    texts, labels = dict(prepared.texts("test")), dict(prepared.labels("test"))
    assert {texts[name]: label for name, label in labels.items()} == {
        f"a new film number {n}": ("neg", "pos")[n % 2] for n in range(4)
    }


@pytest.mark.parametrize("languages", [None, "en-pt"])
def test_translations_in_both_directions(
    folder: Path, tmp_path: Path, languages: str | None
) -> None:
    prepared = prepare_texts(
        "tfds:tiny_ted", folder, pairs=True, languages=languages, data_dir=tmp_path
    )
    texts = [text for _, text in prepared.texts("test")]
    answers = [answer for _, (answer,) in prepared.captions("test")]
    expected = ("film new 3", "filme new 3") if languages else ("filme new 3", "film new 3")
    assert expected in list(zip(texts, answers, strict=True))


def test_a_dataset_with_other_features_is_an_error(folder: Path, tmp_path: Path) -> None:
    for name, pairs, languages, message in (
        ("tiny_ted", False, None, "tfds:tiny_ted holds no labeled texts: its features are"),
        ("tiny_reviews", True, "en-pt", "tfds:tiny_reviews holds no translations en pt"),
        ("tiny_ted", True, "en-de", "tfds:tiny_ted holds no translations en de"),
        ("absent", True, None, "no prepared absent in"),
    ):
        with pytest.raises(UserError, match=message):
            prepare_texts(
                f"tfds:{name}", folder, pairs=pairs, languages=languages, data_dir=tmp_path
            )
