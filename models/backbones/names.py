"""Names and image sizes of all backbones, available without importing Keras.

The command line reports a misspelled name within milliseconds; Keras takes seconds to import.
"""

from __future__ import annotations

import ast
import difflib
import functools
import importlib.util
import re
from pathlib import Path
from typing import NamedTuple

# Height and width in pixels that the ImageNet weights were trained on, where not 224.
IMAGE_SIZES = {
    "EfficientNetB1": 240,
    "EfficientNetB2": 260,
    "EfficientNetB3": 300,
    "EfficientNetB4": 380,
    "EfficientNetB5": 456,
    "EfficientNetB6": 528,
    "EfficientNetB7": 600,
    "EfficientNetV2B1": 240,
    "EfficientNetV2B2": 260,
    "EfficientNetV2B3": 300,
    "EfficientNetV2S": 384,
    "EfficientNetV2M": 480,
    "EfficientNetV2L": 480,
    "InceptionResNetV2": 299,
    "InceptionV3": 299,
    "NASNetLarge": 331,
    "Xception": 299,
}


class Variant(NamedTuple):
    """The scaling of an EfficientNet-Lite relative to Lite0."""

    width: float
    depth: float
    image_size: int  # height and width in pixels of the training images


class SmallBackbone(NamedTuple):
    """A backbone of `models.backbones.small`, for which there are no pretrained weights."""

    image_size: int  # default height and width in pixels
    trainable: bool  # else its weights are constants


SMALL = {
    "dct": SmallBackbone(32, trainable=False),
    "small-cnn": SmallBackbone(64, trainable=True),
}
VARIANTS = {
    "efficientnet-lite0": Variant(1.0, 1.0, 224),
    "efficientnet-lite1": Variant(1.0, 1.1, 240),
    "efficientnet-lite2": Variant(1.1, 1.2, 260),
}


@functools.cache
def application_names() -> tuple[str, ...]:
    """Return the model names of the installed `keras.applications`, read from its source.

    >>> "MobileNetV2" in application_names(), "mobilenet_v2" in application_names()
    (True, False)
    """
    spec = importlib.util.find_spec("keras")  # finds the package without importing it
    folder = Path((spec and spec.origin) or "").parent
    module = ast.parse((folder / "applications" / "__init__.py").read_text(encoding="utf-8"))
    names = [
        alias.asname or alias.name
        for node in module.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    ]
    # Lower-case names are modules of model families.
    return tuple(name for name in names if name[0].isupper())


def resolve_name(name: str) -> str:
    """Return the canonical spelling of a backbone's name.

    Raises:
        ValueError: if the name is unknown; the message suggests the closest names.

    >>> resolve_name("mobilenet_v2"), resolve_name("Small_CNN")
    ('MobileNetV2', 'small-cnn')
    >>> resolve_name("resnet5")
    Traceback (most recent call last):
    ...
    ValueError: unknown backbone 'resnet5': did you mean 'ResNet50' or 'ResNet152'? ...
    """
    known = {_normalize(each): each for each in (*SMALL, *VARIANTS, *application_names())}
    if canonical := known.get(_normalize(name)):
        return canonical
    near = difflib.get_close_matches(_normalize(name), known, n=2)
    hint = " or ".join(repr(known[match]) for match in near)
    raise ValueError(
        f"unknown backbone {name!r}: {f'did you mean {hint}? ' if near else ''}Known: "
        f"{', '.join(sorted(known.values()))}, or the path of a .keras file."
    )


def starts_random(name: str, weights: str) -> bool:
    """Return whether a backbone starts from random weights, which differ in every process.

    >>> starts_random("small-cnn", "auto"), starts_random("ResNet50", "auto")
    (True, False)
    """
    from_scratch = {_normalize(each) for each, small in SMALL.items() if small.trainable}
    return weights == "random" or (weights == "auto" and _normalize(name) in from_scratch)


def _normalize(name: str) -> str:
    return re.sub("[-_ ]", "", name).lower()
