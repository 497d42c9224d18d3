"""Cross-validation of small sets: every clip is tested once, by a model that knew none like it."""

from __future__ import annotations

import dataclasses
import hashlib
from collections import Counter

from data.errors import UserError
from data.listing import Listing

FOLDS = 5
_BINS = 2 * FOLDS


def fold_listing(listing: Listing, fold: int) -> Listing:
    """Split a listing anew by its groups: a fifth is tested on, a tenth is for validation.

    Groups go, the largest first, to the bin with the fewest clips; nothing else counts, so that
    the five folds share one division, and each clip is in the test split of just one of them.

    Args:
        listing: its own splits do not count.
        fold: 1 to 5.

    Raises:
        UserError: if there is no such fold, or too few groups.
    """
    if not 1 <= fold <= FOLDS:
        raise UserError(f"--fold is 1 to {FOLDS}, not {fold}")
    sizes = Counter(entry.group for entry in listing.entries)
    if len(sizes) < _BINS:
        raise UserError(f"{FOLDS} folds need at least {_BINS} groups of clips, not {len(sizes)}")
    clips, bins = [0] * _BINS, dict[str, int]()
    for group in sorted(sizes, key=lambda name: (-sizes[name], _digest(name))):
        least = clips.index(min(clips))
        bins[group] = least
        clips[least] += sizes[group]
    splits = ["train"] * _BINS
    first = 2 * (fold - 1)
    splits[first : first + 2] = ["test", "test"]
    splits[(first + 2) % _BINS] = "validation"
    entries = tuple(entry._replace(split=splits[bins[entry.group]]) for entry in listing.entries)
    note = f"fold {fold} of {FOLDS}: split by {len(sizes):,} groups"
    return dataclasses.replace(listing, entries=entries, notes=(note,))


def _digest(name: str) -> bytes:
    return hashlib.sha256(name.encode()).digest()
