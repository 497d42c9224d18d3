"""Features that a dataset brings: whether they are those that a run wants, and what to say if not.

`wordreel prepare --features` stores what a frozen backbone says of each picture, or frame.
"""

from __future__ import annotations

from data.common.errors import UserError
from data.storage.cache import say
from data.storage.prepared import Stored
from pipelines.inputs.feature_cache import VERSION


def brings_rows(
    prepared: Stored,
    *,
    size: int,
    fingerprint: str,
    flips: bool,
    pooled: bool = False,
    cropped: bool = False,
    changing: bool = False,
    learns: bool = False,
) -> bool:
    """Say whether a dataset has the rows that a run wants; tell the user where it has others.

    Args:
        prepared: the dataset.
        size: pixels a side that the backbone sees.
        fingerprint: of the backbone, up to its grid.
        flips: whether mirrored pictures are wanted as well.
        pooled: whether the mean of a grid is enough.
        cropped: whether the backbone sees a part of each picture only.
        changing: whether it sees how frames change as well.
        learns: whether the backbone, or its top, learns: then it wants pictures.

    Raises:
        UserError: if it has other rows, and no pictures to compute those that are wanted.
    """
    encoder = prepared.encoder
    if encoder is None:
        return False
    made_by = [encoder[name] for name in ("version", "size", "fingerprint")]
    missing = {
        f"this backbone at {size} pixels": made_by != [VERSION, size, fingerprint],
        "single cells": encoder["pooled"] and not pooled,
        "mirrored pictures": flips and not encoder["flips"],
        "a part of each frame": cropped,
        "what changes from frame to frame": changing,
    }
    lacks = " or ".join(what for what, missed in missing.items() if missed)
    if not lacks and not learns:
        return True
    has = f"{prepared.directory} has features of {encoder['backbone']} at {encoder['size']} pixels"
    if prepared.has_pixels():
        if not learns:
            say(f"{has}, none of {lacks}: those are computed from its pictures")
        return False
    lacks = "no pictures, which a backbone that learns needs" if learns else f"none of {lacks}"
    raise UserError(
        f"{has}, {lacks}: train with --backbone {encoder['backbone']} --image-size "
        f"{encoder['size']}{' --no-flips' * (not encoder['flips'])} and nothing that tunes or "
        "crops, or prepare it anew, with pictures"
    )
