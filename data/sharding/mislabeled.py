"""Labels that are probably wrong: a simple classifier, cross-validated, is sure of another one.

As in confident learning (Northcutt, Jiang & Chuang 2021), an example is suspicious if the most
probable class is another one, about as probable as for the examples of that class on average. The
classifier is a logistic regression on simple features: its findings are hints, not proofs.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import cv2
import numpy as np

from data.annotations.entries import Entry
from data.media.words import tokenize
from data.sharding.findings import Example, Finding

FOLDS = 5
MOST = 20_000  # examples that are compared
_CERTAIN = 0.9  # of the average probability of a class
_SIDE, _CELLS, _DIRECTIONS = 64, 4, 8  # of images: pixels, cells a side, bins of edges


def image_features(image: np.ndarray) -> np.ndarray:
    """Return edges and colors, float32 `[F]`, of an image, uint8 `[height, width, 3]`."""
    small = cv2.resize(image, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA).astype(np.float32)
    gray = small.mean(axis=2)
    strength, angle = cv2.cartToPolar(cv2.Sobel(gray, -1, 1, 0), cv2.Sobel(gray, -1, 0, 1))
    direction = (angle * _DIRECTIONS / np.pi).astype(int) % _DIRECTIONS  # opposite ones are one
    row, column = np.indices(gray.shape) * _CELLS // _SIDE
    bins = (row * _CELLS + column) * _DIRECTIONS + direction
    edges: np.ndarray = np.bincount(bins.ravel(), strength.ravel(), _CELLS * _CELLS * _DIRECTIONS)
    edges = edges / max(1e-9, float(np.linalg.norm(edges)))
    colors = cv2.resize(small, (_CELLS, _CELLS), interpolation=cv2.INTER_AREA) / 255
    return np.concatenate([edges, np.ravel(colors)]).astype(np.float32)


def text_features(texts: Sequence[str]) -> Any:
    """Return the words and pairs of words of texts, weighted by tf-idf: sparse `[texts, F]`."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectorizer = TfidfVectorizer(
        analyzer="word", tokenizer=tokenize, token_pattern=None, lowercase=False,
        ngram_range=(1, 2), sublinear_tf=True,
    )  # fmt: skip
    return vectorizer.fit_transform(texts)


def mislabeled_findings(entries: Sequence[Entry], features: Any) -> Iterator[Finding]:
    """Yield the labels that are probably wrong, the most certain first.

    Args:
        entries: with labels.
        features: of each, `[entries, F]`.
    """
    section, name = "Labels", "mislabeled"
    counts = Counter(entry.label for entry in entries)
    rows = [row for row, entry in enumerate(entries) if counts[entry.label] > 1][:MOST]
    classes, own = np.unique([entries[row].label for row in rows], return_inverse=True)
    if len(classes) < 2:
        yield Finding(section, name, "probably wrong labels: needs two classes of two examples")
        return
    probabilities = _cross_validate(features[rows], own)
    usual = np.array([probabilities[own == k, k].mean() for k in range(len(classes))])
    best, positions = probabilities.argmax(axis=1), np.arange(len(rows))
    certain = probabilities[positions, best] >= _CERTAIN * usual[best]
    suspicious = np.flatnonzero(certain & (best != own))
    losses = -np.log(np.maximum(probabilities[positions, own], 1e-12))
    accuracy = float((best == own).mean())
    examples = []
    for position in suspicious[np.argsort(-losses[suspicious], kind="stable")]:
        entry = entries[rows[position]]
        other, share = str(classes[best[position]]), probabilities[position, best[position]]
        text = entry.captions[0] if entry.captions and not entry.relative_path else ""
        examples.append(
            Example(
                f"{entry.file}: {entry.label!r}, probably {other!r} ({share:.0%})"
                f"{': ' * bool(text)}{text:.80}",
                (entry,),
            )
        )
    text = (
        f"{len(examples):,} of {len(rows):,} labels are probably wrong, by a simple classifier "
        f"with a cross-validated accuracy of {accuracy:.1%}"
    )
    yield Finding(section, name, text, bool(examples), {"accuracy": accuracy}, examples)


def _cross_validate(features: Any, labels: np.ndarray) -> np.ndarray:
    """Return the probabilities of a classifier that was not trained on the example."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import MaxAbsScaler

    folds = StratifiedKFold(
        min(FOLDS, int(np.bincount(labels).min())), shuffle=True, random_state=0
    )
    model = make_pipeline(MaxAbsScaler(), LogisticRegression(C=1.0, max_iter=200))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of convergence: a hint needs no more digits
        return np.asarray(
            cross_val_predict(model, features, labels, cv=folds, method="predict_proba")
        )
