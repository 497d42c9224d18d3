"""Images as they are stored, and generated images."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from data.annotations.entries import Entry
from data.builtin import digits, scenes
from data.builtin.caption_checker import is_true
from data.media.images import BadImage, load_image
from data.storage.png import encode_png

# No image that can be decoded within `images.MAX_PIXELS` is a larger file.
MAX_BYTES = 400_000_000


def image_features(encoding: str, labeled: bool) -> dict[str, Any]:
    """Return what is stored of an image. Labels are texts, so that a new class changes no shard.

    Args:
        encoding: "jpeg" or "png".
        labeled: whether it has a label, not captions.
    """
    text = tfds.features.Text()
    return {
        "image": tfds.features.Image(shape=(None, None, 3), encoding_format=encoding),
        "image_id": text,
        **({"label": text} if labeled else {"captions": tfds.features.Sequence(text)}),
    }


def image_example(entry: Entry, max_side: int, plain_side: int | None = None) -> dict[str, Any]:
    """Read an image: see `data.media.images.load_image`.

    Raises:
        UserError: with the reason why it cannot be decoded.
    """
    if entry.path.stat().st_size > MAX_BYTES:
        raise BadImage(f"file of more than {MAX_BYTES / 1e6:,.0f} MB")
    data = entry.path.read_bytes()
    jpeg = load_image(data, max_side=max_side, plain_side=plain_side).jpeg
    return {
        "image": jpeg,
        "image_id": entry.image_id,
        "captions": entry.captions,
        "label": entry.label,
    }


class SceneGenerator:
    """Generates the synthetic scenes; an id contains the scene."""

    seeded = True

    @property
    def is_true(self) -> Callable[[str, str], bool]:
        """A check of every statement of a caption against the scene."""
        return _scene_caption_is_true

    def version(self) -> int:
        """Return a number that changes with the generated data."""
        return scenes.VERSION

    def entries(self, seed: int) -> Iterator[Entry]:
        """Yield the entries of all splits."""
        for split in scenes.SPLITS:
            for name, scene in scenes.synthetic_scenes(split, seed=seed):
                yield Entry(name, name, "", tuple(scenes.generate_captions(scene)), split)

    def load(self, example_id: str) -> dict[str, Any]:
        """Render a scene."""
        scene = scenes.scene_by_id(example_id)
        image = encode_png(scenes.render(scene))
        return {"image": image, "image_id": example_id, "captions": scenes.generate_captions(scene)}


def _scene_caption_is_true(scene_id: str, caption: str) -> bool:
    return is_true(caption, scenes.scene_by_id(scene_id))


class DigitGenerator:
    """Renders the handwritten digits that come with Wordreel, white on black."""

    seeded, is_true = False, None

    def version(self) -> int:
        """Return a number that changes with the file or its splits."""
        return digits.VERSION

    def entries(self, seed: int) -> Iterator[Entry]:
        """Yield the entries of all splits."""
        del seed
        for split, found in digits.read_digits().items():
            for name, label in zip(found.ids, found.labels, strict=True):
                yield Entry(name, name, "", (), split, str(label))

    def load(self, example_id: str) -> dict[str, Any]:
        """Render a digit."""
        pixels, label = digits.digit_by_id(example_id)
        shades = np.rint(pixels * (255 / digits.LEVELS)).astype(np.uint8)
        return {"image": encode_png(shades), "image_id": example_id, "label": label}
