"""Which backbones there are: their names and sizes, known without importing Keras.

The command line answers a misspelt name from here in milliseconds; Keras takes seconds to load.
"""

from __future__ import annotations

import ast
import difflib
import functools
import importlib.util
import re
from pathlib import Path
from typing import NamedTuple

DCT, SMALL_CNN = "dct", "small-cnn"
# Pixels a side that the ImageNet weights were trained on, where it is not 224.
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
    """How far an EfficientNet-Lite is scaled from Lite0."""

    width: float
    depth: float
    image_size: int  # pixels a side, as trained


VARIANTS = {
    "efficientnet-lite0": Variant(1.0, 1.0, 224),
    "efficientnet-lite1": Variant(1.0, 1.1, 240),
    "efficientnet-lite2": Variant(1.1, 1.2, 260),
}


@functools.cache
def application_names() -> tuple[str, ...]:
    """Return the models of the installed `keras.applications`, read from its source.

    >>> "MobileNetV2" in applications(), "mobilenet_v2" in applications()
    (True, False)
    """
    spec = importlib.util.find_spec("keras")  # finds the package, does not run it
    folder = Path((spec and spec.origin) or "").parent
    module = ast.parse((folder / "applications" / "__init__.py").read_text(encoding="utf-8"))
    names = [
        alias.asname or alias.name
        for node in module.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    ]
    # What begins with a small letter is the module of a family.
    return tuple(name for name in names if name[0].isupper())


def resolve_name(name: str) -> str:
    """Return the one spelling of a backbone's name.

    Raises:
        ValueError: for a name that is none, with the nearest that are.

    >>> resolve("mobilenet_v2"), resolve("Small_CNN")
    ('MobileNetV2', 'small-cnn')
    >>> resolve("resnet5")
    Traceback (most recent call last):
    ...
    ValueError: unknown backbone 'resnet5': did you mean 'ResNet50' or 'ResNet152'? ...
    """
    known = {_plain(right): right for right in (DCT, SMALL_CNN, *VARIANTS, *application_names())}
    if right := known.get(_plain(name)):
        return right
    near = difflib.get_close_matches(_plain(name), known, n=2)
    hint = " or ".join(repr(known[match]) for match in near)
    raise ValueError(
        f"unknown backbone {name!r}: {f'did you mean {hint}? ' if near else ''}Known: "
        f"{', '.join(sorted(known.values()))}, or the path of a .keras file."
    )


def _plain(name: str) -> str:
    return re.sub("[-_ ]", "", name).lower()
