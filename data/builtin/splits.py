"""Splits of generated data, by a hash of the content: no two share an example."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping

from data.common.errors import UserError, unknown


def synthetic_ids(split: str, splits: Mapping[str, int], seed: int) -> Iterator[str]:
    """Yield the ids of a split's examples; `splits` has their number.

    Raises:
        UserError: if there is no such split.
    """
    if split not in splits:
        raise unknown("split", split, splits)
    for index in range(splits[split]):
        yield f"{split}-{seed}-{index:05d}"


def split_in_id(synthetic_id: str, splits: Mapping[str, int]) -> str:
    """Return the split in the id of a synthetic scene or clip.

    Raises:
        UserError: if the id has another form or split.
    """
    match = re.fullmatch(r"(\w+)-(\d+)-(\d{5,})", synthetic_id)
    if match is None or match[1] not in splits:
        raise UserError(
            "the id of a synthetic scene or clip is SPLIT-SEED-INDEX such as 'test-0-00003' "
            f"with a split of {', '.join(splits)}; got {synthetic_id!r}"
        )
    return match[1]


def split_of_scene(content: str) -> str:
    """Return the only split that may hold a scene or clip with this content."""
    bucket = hashlib.sha256(content.encode()).digest()[0]
    return "validation" if bucket < 26 else "test" if bucket < 64 else "train"


def split_of_text(text: str) -> str:
    """Return the only split that may hold this text."""
    share = hashlib.sha256(text.encode()).digest()[0] / 256
    return "train" if share < 0.8 else "validation" if share < 0.9 else "test"
