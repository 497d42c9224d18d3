"""Names of backbones: those of Keras, and suggestions for unknown ones."""

from __future__ import annotations

import keras
import pytest

from models.backbones.factory import (
    build_backbone,
)
from models.backbones.names import application_names


def test_application_names_are_those_of_keras() -> None:
    functions = {name for name, value in vars(keras.applications).items() if callable(value)}
    assert set(application_names()) == functions
    assert len(functions) > 30


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("mobilnet", "did you mean 'MobileNet'"),
        ("resnet51", "'ResNet50'"),
        ("efficientnet-lite9", "did you mean 'efficientnet-lite"),
        ("nothing like it", "^unknown backbone 'nothing like it': Known: .*small-cnn"),
    ],
)
def test_an_unknown_name_suggests_the_closest(name: str, hint: str) -> None:
    with pytest.raises(ValueError, match=hint):
        build_backbone(name)
