"""The value of `--crop`."""

from __future__ import annotations

import re
from typing import NamedTuple

from data.common.errors import UserError


class Box(NamedTuple):
    """A region of an image, as shares of its height and width."""

    top: float
    bottom: float
    left: float
    right: float


def crop_box(crop: str | None) -> Box | None:
    """Parse a `--crop` such as "0.5:1,.25:.75".

    Raises:
        UserError: if the text is malformed or not a region of the image.
    """
    if crop is None:
        return None
    share = r"(\d*\.?\d+)"
    match = re.fullmatch(rf"{share}:{share},{share}:{share}", crop)
    if match:
        box = Box(*map(float, match.groups()))
        if 0 <= box.top < box.bottom <= 1 and 0 <= box.left < box.right <= 1:
            return box
    raise UserError(
        f"--crop is TOP:BOTTOM,LEFT:RIGHT, shares of a frame from 0 to 1 such as '0.5:1,0.25:0.75',"
        f" not {crop!r}"
    )
