"""What every test may use."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.paths import SHARED_DATA


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Return the folder of real data; skip, by name, where it is absent."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"real data not present at {SHARED_DATA}")
    return SHARED_DATA


@pytest.fixture(scope="session")
def captioner_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of versions with a tiny captioner in it, as `export` leaves it; read only."""
    from pipelines.export.captions import export
    from tests.support.tiny_captioner import OPTIONS, SOURCE, VOCABULARY, tiny_captioner

    folder = tmp_path_factory.mktemp("models") / "captioner"
    info = {
        "task": "image-captioning",
        "command": "python train.py --seed 1",
        "licence": "drawn by Wordreel",
        "config": {"data": "synthetic-scenes", "train_split": "train", "seed": 1},
        "metrics": {"test": {"BLEU-4": 71.0, "signature": "tok:x|items:5"}},
    }
    export(tiny_captioner(), SOURCE, VOCABULARY, OPTIONS, folder, info)
    return folder
