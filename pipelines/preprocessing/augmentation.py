"""Random augmentation of images and clips during training."""

from __future__ import annotations

import dataclasses
import re

import cv2
import numpy as np

_SIDED = re.compile(r"(?<![a-z])((left|right)(wards?)?|(anti|counter)?-?clockwise)(?![a-z])", re.I)


def mentions_side(text: str) -> bool:
    """Return whether an English label or caption would be wrong for the mirrored image.

    >>> mentions_side("turn_left"), mentions_side("bright leftovers"), mentions_side("Rightwards!")
    (True, False, True)
    """
    return _SIDED.search(text) is not None


@dataclasses.dataclass(frozen=True)
class Augmentation:
    """Limits of a random augmentation; each image gets its own random amounts.

    Pixels from outside the image repeat its edge.
    """

    translation: int = 0  # pixels in either direction
    rotation: float = 0.0  # degrees in either direction
    zoom: float = 0.0  # 0.2 for a scale between 1 / 1.2 and 1.2
    brightness: float = 0.0  # 0.2 for contrast and brightness changed by up to a fifth

    def __bool__(self) -> bool:
        """Return whether anything changes."""
        return any(dataclasses.astuple(self))

    def apply(
        self, images: np.ndarray, rng: np.random.Generator, *, alike: bool = False
    ) -> np.ndarray:
        """Return augmented images.

        Args:
            images: uint8 `[images, height, width, 3]`.
            rng: the same state gives the same augmentation.
            alike: whether all images change in the same way, as the frames of a clip do.

        Returns:
            uint8, of the shape of `images`.

        >>> image = np.zeros([1, 3, 3, 3], np.uint8)
        >>> image[0, 1, 1] = 200
        >>> moved = Augmentation(translation=1).apply(image, np.random.default_rng(0))
        >>> np.argwhere(moved[0, :, :, 0]).tolist()
        [[1, 2]]
        """
        height, width = images.shape[1:3]
        center = ((width - 1) / 2, (height - 1) / 2)
        augmented = np.empty_like(images)
        shifts, amounts = self._sample(1 if alike else len(images), rng)
        if alike:
            shifts, amounts = (np.repeat(each, len(images), axis=0) for each in (shifts, amounts))
        for index, (angle, scale, contrast, brightness) in enumerate(amounts):
            matrix = cv2.getRotationMatrix2D(center, angle, scale)
            matrix[:, 2] += shifts[index]
            image = cv2.warpAffine(
                images[index],
                matrix,
                (width, height),
                flags=cv2.INTER_LINEAR,
                borderMode=cv2.BORDER_REPLICATE,
            )
            if self.brightness:
                values = (np.arange(256) - 127.5) * contrast + 127.5 + brightness
                image = cv2.LUT(image, values.round().clip(0, 255).astype(np.uint8))
            augmented[index] = image
        return augmented

    def _sample(self, count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Return shifts in pixels, `[count, 2]`; angles, scales, contrasts, brightness changes."""
        shifts = rng.integers(-self.translation, self.translation, (count, 2), endpoint=True)
        share = rng.uniform(-1, 1, (count, 4))
        angles, scales = share[:, 0] * self.rotation, (1 + self.zoom) ** share[:, 1]
        contrasts = 1 + share[:, 2] * self.brightness
        changes = 127.5 * share[:, 3] * self.brightness
        return shifts, np.stack([angles, scales, contrasts, changes], axis=1)
