"""The classes of a labeled dataset: those of its training examples."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from data.common.errors import UserError


def classes_of(name: str, labeled: Iterable[tuple[str, str, str]], kind: str) -> tuple[str, ...]:
    """Return the labels of the training split, sorted.

    Args:
        name: of the dataset, for messages.
        labeled: split, id and label of each example.
        kind: the noun for an example in messages: "text".

    Raises:
        UserError: if training has fewer than two, or another split has a label that training lacks.
    """
    examples = list(labeled)
    counts = Counter(label for split, _, label in examples if split == "train")
    if len(counts) < 2:
        found = ", ".join(f"{label!r} ({count:,} {kind}s)" for label, count in counts.items())
        raise UserError(
            f"{name}: a classifier needs two classes or more; the training {kind}s have "
            f"{found or 'none'}"
        )
    for split, example_id, label in examples:
        if label not in counts:
            raise UserError(
                f"{name}: {example_id} ({split}) has the label {label!r}, which no training "
                f"{kind} has; known: {', '.join(sorted(counts)[:20])}"
            )
    return tuple(sorted(counts))
