"""The classes of a labeled dataset: those of its training examples."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable

from data.annotations.entries import Annotations
from data.annotations.source_files import INVISIBLE
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
    total = sum(counts.values())
    if total >= 20 and len(counts) > 0.9 * total:
        raise UserError(
            f"{name}: {len(counts):,} labels for {total:,} training {kind}s: nearly each has its "
            "own; check which column has the labels"
        )
    for split, example_id, label in examples:
        if label not in counts:
            raise UserError(
                f"{name}: {example_id} ({split}) has the label {label!r}, which no training "
                f"{kind} has; known: {', '.join(sorted(counts)[:20])}"
            )
    return tuple(sorted(counts))


def join_spellings(annotations: Annotations) -> Annotations:
    """Make labels that differ only in case, spaces, "_", "-" or invisible marks one class.

    The most frequent spelling stays. Labels of one character, such as those of letters, are kept.
    """
    counts = Counter(entry.label for entry in annotations.entries)
    alike = defaultdict[str, list[str]](list)
    for label in counts:
        plain = re.sub(r"^(\d+)\.0$", r"\1", INVISIBLE.sub("", label))  # pandas writes 1 as 1.0
        folded = re.sub(r"[\s_-]+", "", unicodedata.normalize("NFKC", plain).casefold())
        alike[folded if len(folded) > 1 and not folded.isnumeric() else plain].append(label)
    several = [labels for labels in alike.values() if len(labels) > 1]
    if not several:
        return annotations
    kept, notes = dict[str, str](), list(annotations.notes)
    for labels in several:
        first, *others = sorted(labels, key=lambda label: (-counts[label], label))
        kept |= dict.fromkeys(others, first)
        notes.append(f"one class, {first!r}: also written {', '.join(map(repr, others))}")
    entries = tuple(
        entry._replace(label=kept[entry.label]) if entry.label in kept else entry
        for entry in annotations.entries
    )
    return annotations._replace(entries=entries, notes=tuple(notes))
