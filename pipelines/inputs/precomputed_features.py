"""Features that `wordreel prepare --features` has stored in a dataset: can a run use them?"""

from __future__ import annotations

import keras

from data.common.errors import UserError
from data.storage.cache import log
from data.storage.prepared import Stored
from models.backbones.factory import fingerprint
from pipelines.inputs.feature_cache import VERSION


def can_use_stored_features(
    prepared: Stored,
    *,
    size: int,
    backbone: keras.Model,
    flips: bool,
    fine_tuned: bool,
    pooled: bool = False,
    cropped: bool = False,
    pairs: bool = False,
) -> bool:
    """Return whether a dataset has stored the rows that a run needs; print a note if not.

    Args:
        prepared: the dataset.
        size: pixels per side that the backbone takes.
        backbone: up to its grid.
        flips: whether mirrored images are needed as well.
        fine_tuned: whether the backbone, or its top, is trained, which needs images.
        pooled: whether the mean of a grid is enough.
        cropped: whether frames are cropped.
        pairs: whether frame differences are needed.

    Raises:
        UserError: if it has other features, and no images to compute those that are needed.
    """
    encoder = prepared.encoder
    if encoder is None:
        return False
    made_by = [encoder[name] for name in ("version", "size", "fingerprint")]
    now = [VERSION, size, fingerprint(backbone)]
    required = {
        f"features of this backbone at {size} pixels": made_by != now,
        "grid cells": encoder["pooled"] and not pooled,
        "mirrored images": flips and not encoder["flips"],
        "cropped frames": cropped,
        "frame differences": pairs,
    }
    missing = " or ".join(what for what, is_missing in required.items() if is_missing)
    if not missing and not fine_tuned:
        return True
    has = f"{prepared.directory} has features of {encoder['backbone']} at {encoder['size']} pixels"
    if prepared.has_pixels():
        if not fine_tuned:
            log(f"{has}, without {missing}: the run computes features from its images")
        return False
    problem = "but no images, which fine-tuning needs" if fine_tuned else f"without {missing}"
    raise UserError(
        f"{has}, {problem}: train with --backbone {encoder['backbone']} --image-size "
        f"{encoder['size']}{' --no-flips' * (not encoder['flips'])} and without fine-tuning or "
        "--crop, or prepare the dataset again with images"
    )
