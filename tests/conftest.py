"""Fixtures and settings of all tests."""

from __future__ import annotations

import random
from pathlib import Path

import hypothesis
import numpy as np
import pytest

from tests.support.paths import SHARED_DATA
from tests.support.shared_folder import build_once

# The same examples in each run, on a slow machine too: only a change of the code fails a test.
# `pytest --hypothesis-profile=search` tries new ones.
hypothesis.settings.register_profile("wordreel", deadline=None, derandomize=True)
hypothesis.settings.register_profile("search", deadline=None, max_examples=1000)
hypothesis.settings.load_profile("wordreel")


@pytest.fixture(autouse=True)
def seeded() -> None:
    """Seed each test, so that its random weights do not depend on the order of the tests.

    Keras draws the seeds of weights and layers from Python's generator. TensorFlow's own seed is
    left alone: setting it drops all compiled functions, and each takes a second to compile again.
    """
    random.seed(1)
    np.random.seed(1)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Return the folder of real data; skip the test if it is missing."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"real data not present at {SHARED_DATA}")
    return SHARED_DATA


@pytest.fixture(scope="session")
def captioner_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of versions with an exported tiny captioner; read only."""

    def write(folder: Path) -> None:
        from pipelines.export.captions import export
        from tests.support.tiny.captioner import OPTIONS, SOURCE, VOCABULARY, tiny_captioner

        info = {
            "task": "image-captioning",
            "command": "python train.py --seed 1",
            "licence": "drawn by Wordreel",
            "config": {"data": "synthetic-scenes", "train_split": "train", "seed": 1},
            "metrics": {"test": {"BLEU-4": 71.0, "signature": "tok:x|items:5"}},
        }
        export(tiny_captioner(), SOURCE, VOCABULARY, OPTIONS, folder, info)

    return build_once(tmp_path_factory, "captioner", write)
