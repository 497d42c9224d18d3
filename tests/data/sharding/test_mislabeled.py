"""Labels that were exchanged are found in texts and images."""

from __future__ import annotations

import numpy as np

from data.annotations.entries import Entry
from data.sharding.mislabeled import image_features, mislabeled_findings, text_features


def entries_of(labels: list[str], texts: list[str]) -> list[Entry]:
    return [
        Entry(str(number), f"{number}", "", (text,), "train", label)
        for number, (label, text) in enumerate(zip(labels, texts, strict=True))
    ]


def test_exchanged_labels_of_texts_are_listed_first() -> None:
    random = np.random.default_rng(0)
    words = {"good": ["fine", "great", "warm", "bright"], "bad": ["dull", "cold", "slow", "weak"]}
    labels = ["good", "bad"] * 60
    texts = [" ".join(["a film", *random.choice(words[label], 3)]) for label in labels]
    for wrong in (10, 31):
        labels[wrong] = "bad" if labels[wrong] == "good" else "good"
    (found,) = mislabeled_findings(entries_of(labels, texts), text_features(texts))
    files = [example.entries[0].file for example in found.examples]
    assert found.warning and {"10", "31"} == {*files}
    assert found.values["accuracy"] > 0.95
    assert "'bad', probably 'good'" in " ".join(example.text for example in found.examples)


def test_exchanged_labels_of_images_are_found_by_edges_and_colors() -> None:
    random = np.random.default_rng(0)
    labels = ["stripes", "spots"] * 40
    images = []
    for label in labels:
        image = random.integers(0, 60, (96, 80, 3), dtype=np.uint8)
        image[::8] += np.uint8(120) if label == "stripes" else np.uint8(0)
        image[:, ::8] += np.uint8(0) if label == "stripes" else np.uint8(120)
        images.append(image)
    labels[7] = "stripes"
    features = np.array([image_features(image) for image in images])
    (found,) = mislabeled_findings(entries_of(labels, labels), features)
    assert [example.entries[0].file for example in found.examples] == ["7"]


def test_rare_classes_are_not_judged() -> None:
    texts = ["one", "two", "three"]
    (found,) = mislabeled_findings(entries_of(["a", "a", "b"], texts), text_features(texts))
    assert not found.warning and "two classes" in found.text
