"""Pictures varied by chance while they are learned from: no two epochs see the same pixels."""

from __future__ import annotations

import dataclasses
import re

import cv2
import numpy as np

_SIDED = re.compile(r"(?<![a-z])((left|right)(wards?)?|(anti|counter)?-?clockwise)(?![a-z])", re.I)


def tells_sides(text: str) -> bool:
    """Say whether a label or a caption, in English, would be false in a mirror.

    >>> tells_sides("turn_left"), tells_sides("bright leftovers"), tells_sides("Rightwards!")
    (True, False, True)
    """
    return _SIDED.search(text) is not None


@dataclasses.dataclass(frozen=True)
class Augmentation:
    """How far pictures are moved and changed; each draws its own amounts.

    What comes in from outside repeats the edge.

    Attributes:
        shift: pixels in either direction.
        turn: degrees in either direction.
        zoom: 0.2 for between 1 / 1.2 and 1.2 times as large.
        tint: 0.2 for contrast and brightness changed by up to a fifth.
    """

    translation: int = 0
    rotation: float = 0.0
    zoom: float = 0.0
    brightness: float = 0.0

    def __bool__(self) -> bool:
        """Say whether anything changes."""
        return any(dataclasses.astuple(self))

    def apply(
        self, pictures: np.ndarray, chance: np.random.Generator, *, alike: bool = False
    ) -> np.ndarray:
        """Vary pictures.

        Args:
            pictures: uint8 `[pictures, height, width, 3]`.
            chance: what is drawn from; the same state, the same variation.
            alike: whether all change in the same way, as the frames of a clip do.

        Returns:
            As many, new.

        >>> picture = np.zeros([1, 3, 3, 3], np.uint8)
        >>> picture[0, 1, 1] = 200
        >>> moved = Variation(shift=1).apply(picture, np.random.default_rng(0))
        >>> np.argwhere(moved[0, :, :, 0]).tolist()
        [[1, 2]]
        """
        height, width = pictures.shape[1:3]
        centre = ((width - 1) / 2, (height - 1) / 2)
        varied = np.empty_like(pictures)
        moves, draws = self._draw(1 if alike else len(pictures), chance)
        if alike:
            moves, draws = (np.repeat(each, len(pictures), axis=0) for each in (moves, draws))
        for number, (angle, size, contrast, light) in enumerate(draws):
            matrix = cv2.getRotationMatrix2D(centre, angle, size)
            matrix[:, 2] += moves[number]
            picture = cv2.warpAffine(
                pictures[number],
                matrix,
                (width, height),
                flags=cv2.INTER_LINEAR,
                borderMode=cv2.BORDER_REPLICATE,
            )
            if self.brightness:
                shades = np.arange(256)
                changed = (shades - 127.5) * contrast + 127.5 + light
                picture = cv2.LUT(picture, changed.round().clip(0, 255).astype(np.uint8))
            varied[number] = picture
        return varied

    def _draw(self, count: int, chance: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Return moves in whole pixels, `[count, 2]`; angles, sizes, contrasts, lights."""
        moves = chance.integers(-self.translation, self.translation, (count, 2), endpoint=True)
        share = chance.uniform(-1, 1, (count, 4))
        angles, sizes = share[:, 0] * self.rotation, (1 + self.zoom) ** share[:, 1]
        contrasts, lights = 1 + share[:, 2] * self.brightness, 127.5 * share[:, 3] * self.brightness
        return moves, np.stack([angles, sizes, contrasts, lights], axis=1)
